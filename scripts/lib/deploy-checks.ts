// What must hold before a Worker is deployed. Each check returns lines that say what is wrong; none means that it holds.
import type { Unstable_Config } from 'wrangler';
import { readConfig, schema, type Variables } from '../../workers/gateway/config.ts';
import { importsSharedMemory } from '../../workers/edge-runner/build/wasm-binary.ts';
import { BUNDLE_MAX_GZIP_BYTES, gzipSize, type BundleFile } from './bundle.ts';

/** The parts of wrangler's configuration, resolved for one environment, that are looked at here. */
export type WorkerConfig = Partial<Unstable_Config>;

/** Size and WebAssembly of what would be uploaded. */
export function checkBundle(worker: string, files: readonly BundleFile[]): string[] {
  const size = gzipSize(files);
  const wasm = files.filter(({ name }) => name.endsWith('.wasm'));
  return [
    ...(size > BUNDLE_MAX_GZIP_BYTES
      ? [`${worker}: the bundle has ${size} bytes compressed, and ${BUNDLE_MAX_GZIP_BYTES} are allowed`]
      : []),
    ...wasm
      .filter(({ bytes }) => importsSharedMemory(bytes))
      .map(
        ({ name }) => `${worker}: ${name} imports a shared memory, which the Workers runtime does not promise to have`,
      ),
  ];
}

const names = Object.keys(schema.shape);
const required = names.filter((name) => !schema.shape[name as keyof typeof schema.shape].safeParse(undefined).success);
const CREDENTIAL = /(SECRET|TOKEN|PASSWORD|SALT|KEYS?)$/;

/** Every variable of the gateway's schema comes from somewhere, nothing else does, and no credential lies in the open. */
export function checkVariables(environment: string, config: WorkerConfig): string[] {
  const vars = Object.keys(config.vars ?? {});
  const secrets = config.secrets?.required ?? [];
  const declared = [...vars, ...secrets];
  const at = `gateway, ${environment}:`;
  const credentials = vars.filter((name) => CREDENTIAL.test(name) && config.vars?.[name] !== '');
  return [
    ...required
      .filter((name) => !declared.includes(name))
      .map((name) => `${at} ${name} is needed by config.ts; list it in secrets.required or vars of wrangler.toml`),
    ...declared
      .filter((name) => !names.includes(name))
      .map((name) => `${at} ${name} is in wrangler.toml, and config.ts does not know it`),
    ...credentials.map((name) => `${at} ${name} is a credential; it belongs into secrets.required`),
  ];
}

/** Names of things that may differ between environments without changing what the code can reach. */
const RESOURCE_NAMES = [
  'bucket_name',
  'queue',
  'dead_letter_queue',
  'id',
  'database_id',
  'database_name',
  'namespace_id',
];

/** What one environment is about, or differs in by nature. */
const OWN = [
  'name',
  'targetEnvironment',
  'definedEnvironments',
  'dev',
  'routes',
  'route',
  'workers_dev',
  'preview_urls',
  // Locally the optional ones are listed too, because `wrangler dev` reads no others; checkVariables looks at them.
  'secrets',
];

/** Bindings are not inherited by environments: one that was forgotten fails only when production first uses it. */
export function checkSameBindings(local: WorkerConfig, production: WorkerConfig): string[] {
  const [here, there] = [shape(local), shape(production)];
  return [...new Set([...Object.keys(here), ...Object.keys(there)])]
    .filter((key) => !OWN.includes(key) && here[key] !== there[key])
    .map(
      (key) => `gateway: ${key} differs: ${here[key] ?? 'nothing'} locally, ${there[key] ?? 'nothing'} in production`,
    );
}

function shape(config: WorkerConfig): Readonly<Record<string, string | undefined>> {
  // A secret that the schema leaves optional may be asked for in production alone: locally nobody needs an ADMIN_KEY.
  const secrets = (config.secrets?.required ?? []).filter((name) => required.includes(name)).sort();
  const comparable = { ...config, vars: Object.keys(config.vars ?? {}).sort(), secrets };
  return Object.fromEntries(Object.entries(comparable).map(([key, value]) => [key, JSON.stringify(value, anonymous)]));
}

function anonymous(key: string, value: unknown): unknown {
  return RESOURCE_NAMES.includes(key) && typeof value === 'string' ? '…' : value;
}

/** Another one for each name: no secret may serve as two. */
const placeholderOf = (name: string): string => name.padEnd(64, 'x');

/** The gateway's own judgement of the production variables, secrets taken as set: origins are there, and https. */
export function checkProductionVariables(config: WorkerConfig): string[] {
  const secrets = Object.fromEntries((config.secrets?.required ?? []).map((name) => [name, placeholderOf(name)]));
  try {
    readConfig({ ...config.vars, ...secrets } as unknown as Variables);
    return [];
  } catch (error) {
    return [`gateway, production: ${error instanceof Error ? error.message : String(error)}`];
  }
}

// npm run deploy [-- --dry-run] [-- --secrets-file FILE] [-- --no-build]: both Workers, with everything they need, to the account that
// wrangler is logged in to. What its [env.production.vars] leave empty is the operator's own and comes from the environment, by the same name.
// The dry run builds, bundles and checks the same things without an account or a network. docs/deploy.md tells the rest.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { unstable_readConfig as readWranglerConfig } from 'wrangler';
import { build } from './lib/build.ts';
import { readBundle, gzipSize } from './lib/bundle.ts';
import { bucketsOf, lifecycleRules, resourcesOf } from './lib/cloudflare.ts';
import {
  checkBundle,
  checkProductionVariables,
  checkSameBindings,
  checkVariables,
  type WorkerConfig,
} from './lib/deploy-checks.ts';
import { root } from './lib/service.ts';

/** In this order: the gateway's service binding wants the edge runner to be there. */
const WORKERS = [
  { name: 'edge runner', config: 'workers/edge-runner/wrangler.toml' },
  { name: 'gateway', config: 'wrangler.toml' },
] as const;
type Worker = (typeof WORKERS)[number];

const say = (line: string): boolean => process.stderr.write(`${line}\n`);
const { values: options } = parseArgs({
  options: {
    'dry-run': { type: 'boolean', default: false },
    'secrets-file': { type: 'string' },
    // What was built before is taken as it is.
    'no-build': { type: 'boolean', default: false },
  },
});
const scratch = mkdtempSync(path.join(tmpdir(), 'deblur-deploy-'));

try {
  main();
} catch (error) {
  say(`npm run deploy: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

function main(): void {
  if (!options['no-build']) build(say);
  const local = configOf('wrangler.toml', '');
  const declared = configOf('wrangler.toml', 'production');
  const own = operatorVariables(declared);
  const production = { ...declared, vars: { ...declared.vars, ...own } };
  const unset = checkProductionVariables(production);
  const findings = [
    ...checkVariables('local', local),
    ...checkVariables('production', production),
    ...checkSameBindings(local, production),
    ...WORKERS.flatMap((worker) => bundleAndCheck(worker, own)),
    ...(options['dry-run'] ? [] : unset),
  ];
  if (findings.length > 0) throw new Error(`not deployed\n${findings.map((line) => `  ${line}`).join('\n')}`);
  if (options['dry-run']) {
    for (const line of unset) say(`before a real deployment: ${line}`);
  } else {
    wrangler(['whoami', '--json'], 'wrangler is not logged in: run npx wrangler login, or set CLOUDFLARE_API_TOKEN');
  }
  provision(production);
  for (const worker of WORKERS) deploy(worker, deployArguments(worker.config, own), production);
  console.log(options['dry-run'] ? 'Dry run: everything that can be checked here holds.' : 'Deployed.');
}

function configOf(config: string, env: string): WorkerConfig {
  return readWranglerConfig({ config: path.join(root, config), env }, { hideWarnings: true });
}

/** What no file of the repository knows, such as origins: the variables that wrangler.toml leaves empty for production. */
function operatorVariables({ vars = {} }: WorkerConfig): Record<string, string> {
  const empty = Object.keys(vars).filter((name) => vars[name] === '');
  return Object.fromEntries(empty.map((name) => [name, process.env[name] ?? '']).filter(([, value]) => value !== ''));
}

/** The arguments that both the dry run and the real one have. The edge runner is the same in every environment. */
function deployArguments(config: string, own: Readonly<Record<string, string>>): string[] {
  if (config !== 'wrangler.toml') return ['deploy', '-c', config, '--env', ''];
  const vars = Object.entries(own).flatMap(([name, value]) => ['--var', `${name}:${value}`]);
  return ['deploy', '-c', config, '--env', 'production', ...vars];
}

function bundleAndCheck({ name, config }: Worker, own: Readonly<Record<string, string>>): string[] {
  const directory = path.join(scratch, name);
  say(`bundling the ${name} …`);
  wrangler([...deployArguments(config, own), '--dry-run', '--outdir', directory], `the ${name} could not be bundled`);
  const files = readBundle(directory);
  say(`the ${name} has ${gzipSize(files)} bytes compressed`);
  return checkBundle(name, files);
}

/** Buckets, their lifecycle rules and queues; what is there already is left as it is, the rules are set to ours. */
function provision(config: WorkerConfig): void {
  for (const { what, look, create } of resourcesOf(config)) {
    if (show(look, { mayFail: true })) continue;
    say(`making ${what} …`);
    show(create);
  }
  const rules = path.join(scratch, 'lifecycle.json');
  writeFileSync(rules, JSON.stringify(lifecycleRules(), undefined, 2));
  for (const bucket of bucketsOf(config))
    show(['r2', 'bucket', 'lifecycle', 'set', bucket, '--file', rules, '--force']);
}

function deploy({ config }: Worker, args: readonly string[], production: WorkerConfig): void {
  if (config !== 'wrangler.toml') return void show(args);
  const file = options['secrets-file'];
  if (file === undefined) say(`secrets that must be set: ${(production.secrets?.required ?? []).join(', ')}`);
  // Wrangler refuses a first deployment without them, and names those that are missing on a later one.
  const secrets = file === undefined ? [] : ['--secrets-file', path.resolve(process.env.INIT_CWD ?? '.', file)];
  show([...args, ...secrets]);
}

/** Prints a command as one would type it, and runs it unless nothing is to be changed. @returns whether it succeeded */
function show(args: readonly string[], { mayFail = false } = {}): boolean {
  say(`$ npx wrangler ${args.map((arg) => (/^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg}'`)).join(' ')}`);
  if (options['dry-run']) return false;
  const { status } = spawnWrangler(args, mayFail ? 'ignore' : 'inherit');
  if (status !== 0 && !mayFail) throw new Error(`wrangler ${args[0]} failed; its messages are above`);
  return status === 0;
}

function wrangler(args: readonly string[], complaint: string): void {
  const { status, stdout, stderr } = spawnWrangler(args, 'pipe');
  if (status !== 0) throw new Error(`${complaint}\n${stdout}${stderr}`);
}

function spawnWrangler(args: readonly string[], output: 'ignore' | 'inherit' | 'pipe'): ReturnType<typeof spawnSync> {
  return spawnSync(process.execPath, [path.join(root, 'node_modules/wrangler/bin/wrangler.js'), ...args], {
    cwd: root,
    stdio: ['ignore', output === 'inherit' ? 2 : output, output === 'inherit' ? 2 : output],
    env: { ...process.env, CI: '1', WRANGLER_SEND_METRICS: 'false', NO_UPDATE_NOTIFIER: '1' },
  });
}

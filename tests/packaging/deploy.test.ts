import { randomFillSync } from 'node:crypto';
import { appendFileSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { unstable_readConfig as readWranglerConfig } from 'wrangler';
import * as keys from '../../workers/gateway/bucket-keys.ts';
import { lifecycleRules, resourcesOf } from '../../scripts/lib/cloudflare.ts';
import {
  checkProductionVariables,
  checkSameBindings,
  checkVariables,
  type WorkerConfig,
} from '../../scripts/lib/deploy-checks.ts';
import { root } from '../../scripts/lib/service.ts';
import { copyOfTree, dryRun, ensureBuilt } from './support/deploy.ts';
import { read } from './support/tools.ts';

const scratch = mkdtempSync(path.join(tmpdir(), 'deblur-deploy-test-'));
const origins = { INTERNAL_ORIGIN: 'https://deblur.example.com', RUNNER_URL: 'https://runner.example.com' };

beforeAll(() => ensureBuilt());
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** The gateway's configuration as wrangler reads it, after an edit of its text. */
function configOf(env: '' | 'production', edit: (toml: string) => string = (toml) => toml): WorkerConfig {
  const file = path.join(scratch, 'wrangler.toml');
  writeFileSync(file, edit(readFileSync(path.join(root, 'wrangler.toml'), 'utf8')));
  return readWranglerConfig({ config: file, env }, { hideWarnings: true });
}

describe('the dry run', () => {
  it('passes without account and network, and shows what it would do, in order', () => {
    const { code, stdout, stderr } = dryRun(root, scratch, origins);
    expect(stderr).not.toContain('before a real deployment');
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'Dry run: everything that can be checked here holds.\n' });
    const commands = stderr.split('\n').filter((line) => line.startsWith('$ npx wrangler '));
    expect(commands.slice(0, 2)).toEqual([
      '$ npx wrangler r2 bucket info deblur-store',
      '$ npx wrangler r2 bucket create deblur-store',
    ]);
    expect(commands.slice(-3)).toEqual([
      expect.stringMatching(/^\$ npx wrangler r2 bucket lifecycle set deblur-store --file \S+ --force$/),
      "$ npx wrangler deploy -c workers/edge-runner/wrangler.toml --env ''",
      '$ npx wrangler deploy -c wrangler.toml --env production --var INTERNAL_ORIGIN:https://deblur.example.com' +
        ' --var RUNNER_URL:https://runner.example.com',
    ]);
  });

  it('names everything that is wrong, and fails', () => {
    const tree = copyOfTree();
    try {
      const toml = path.join(tree, 'wrangler.toml');
      const text = readFileSync(toml, 'utf8');
      const at = text.lastIndexOf('"INTERNAL_SECRET"');
      writeFileSync(toml, `${text.slice(0, at)}"OTHER_SECRET"${text.slice(at + '"INTERNAL_SECRET"'.length)}`);
      const shared = createRequire(path.join(root, 'workers/web/package.json')).resolve(
        'onnxruntime-web/ort-wasm-simd-threaded.wasm',
      );
      copyFileSync(shared, path.join(tree, 'workers/edge-runner/dist/wasm/jpeg-decode.wasm'));
      // A custom section (id 0) of a size that says so, filled with what does not compress.
      const noise = randomFillSync(new Uint8Array(7_000_000));
      const header = [0, ...leb(noise.length + 1), 0];
      for (const part of [Uint8Array.from(header), noise]) {
        appendFileSync(path.join(tree, 'workers/edge-runner/dist/wasm/webp-encode.wasm'), part);
      }
      const { code, stdout, stderr } = dryRun(tree, scratch);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/gateway, production: INTERNAL_SECRET is needed by config\.ts/);
      expect(stderr).toMatch(/gateway, production: OTHER_SECRET is in wrangler\.toml/);
      expect(stderr).toMatch(/edge runner: jpeg-decode\.wasm imports a shared memory/);
      expect(stderr).toMatch(/edge runner: the bundle has 1\d{7} bytes compressed, and 10000000 are allowed/);
      expect(stderr).not.toContain('$ npx wrangler');
    } finally {
      rmSync(tree, { recursive: true, force: true });
    }
  });
});

function leb(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 128, ...leb(Math.floor(value / 128))];
}

describe('variables and secrets', () => {
  it.each(['', 'production'] as const)('are the ones that the code reads (environment "%s")', (env) => {
    expect(checkVariables('this one', configOf(env))).toEqual([]);
  });

  it.each<[string, (toml: string) => string, RegExp]>([
    [
      'a secret that no code reads',
      (toml) => toml.replaceAll('required = [', 'required = ["OLD_SECRET", '),
      /OLD_SECRET is in wrangler\.toml/,
    ],
    [
      'a secret in the open',
      (toml) =>
        toml
          .replaceAll(/"INTERNAL_SECRET"(, )?/g, '')
          .replace('[env.production.vars]', '[env.production.vars]\nINTERNAL_SECRET = "abc"'),
      /INTERNAL_SECRET is a credential/,
    ],
    ['a variable that is missing', (toml) => toml.replace('INTERNAL_ORIGIN = ""', ''), /INTERNAL_ORIGIN is needed/],
  ])('%s is refused', (_, edit, complaint) => {
    expect(checkVariables('production', configOf('production', edit)).join('\n')).toMatch(complaint);
  });

  it('must include origins that production can use', () => {
    const withVars = (vars: Record<string, string>): string[] => {
      const config = configOf('production');
      return checkProductionVariables({ ...config, vars: { ...config.vars, ...vars } });
    };
    expect(withVars(origins)).toEqual([]);
    expect(withVars({ ...origins, RUNNER_URL: '' }).join()).toContain('RUNNER_URL');
    expect(withVars({ ...origins, RUNNER_URL: 'http://runner.example.com' }).join()).toContain('https in production');
  });
});

describe('bindings', () => {
  const local = configOf('');

  it('are the same locally and in production', () => {
    expect(checkSameBindings(local, configOf('production'))).toEqual([]);
  });

  it('may differ in the names of resources only', () => {
    const renamed = configOf('production', (toml) =>
      toml.replaceAll('bucket_name = "deblur-store"', 'bucket_name = "other"'),
    );
    expect(checkSameBindings(local, renamed)).toEqual([]);
  });

  it.each<[string, string, string]>([
    ['r2_buckets', '[[env.production.r2_buckets]]\nbinding = "STORE"\nbucket_name = "deblur-store"\n', ''],
    // The last one that stands there is production's.
    ['durable_objects', 'name = "JOBS", class_name = "JobObject"', 'name = "JOBS", class_name = "Other"'],
    ['limits', 'limits = { cpu_ms = 10_000 }', 'limits = { cpu_ms = 50 }'],
    ['services', 'entrypoint = "EdgeRunner"\n', ''],
  ])('that differ in %s are refused', (kind, before, after) => {
    const edit = (toml: string): string => {
      const at = toml.lastIndexOf(before);
      expect(at).toBeGreaterThan(0);
      return toml.slice(0, at) + after + toml.slice(at + before.length);
    };
    expect(checkSameBindings(local, configOf('production', edit)).join('\n')).toContain(`gateway: ${kind} differs`);
  });
});

describe('resources', () => {
  it('are every bucket and queue, dead-letter queues included, each once', () => {
    const queues = {
      producers: [{ binding: 'DISPATCH', queue: 'jobs' }],
      consumers: [{ queue: 'jobs', dead_letter_queue: 'jobs-dead' }],
    };
    const found = resourcesOf({ ...configOf('production'), queues });
    expect(found.map(({ what }) => what)).toEqual(['bucket deblur-store', 'queue jobs', 'queue jobs-dead']);
    expect(found.at(-1)).toMatchObject({
      look: ['queues', 'info', 'jobs-dead'],
      create: ['queues', 'create', 'jobs-dead'],
    });
  });

  it('get a lifecycle rule for every prefix that is written', () => {
    const makers = Object.values(keys).filter((value) => typeof value === 'function') as ((text: string) => string)[];
    const written = [...makers.map((make) => make('x')), keys.resultObjectKey('master', 'x')];
    const prefixes = [...new Set(written.map((key) => key.slice(0, key.indexOf('/') + 1)))];
    expect(Object.keys(keys.RETENTION).sort()).toEqual(prefixes.sort());
    expect(lifecycleRules().rules).toContainEqual({
      id: 'expire-sources',
      enabled: true,
      conditions: { prefix: 'sources/' },
      deleteObjectsTransition: { condition: { type: 'Age', maxAge: 86_400 } },
    });
    expect(lifecycleRules().rules).toHaveLength(prefixes.length + 1);
  });
});

it('a fetch to a host of the own zone passes the zone like a stranger’s', () => {
  expect(read('wrangler.toml')).toMatch(/^compatibility_flags = \["global_fetch_strictly_public"\]$/m);
});

it('the page and the documentation are asked for by https only, like the API', () => {
  const [everything = ''] = read('workers/web/public/_headers').split(/^\/docs$/m);
  expect(everything).toMatch(/^\/\*\n(?: {2}.*\n)* {2}Strict-Transport-Security: max-age=15552000$/m);
});

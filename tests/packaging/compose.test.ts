import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { readConfig, schema } from '../../gpu-runner/config.ts';
import { stagesOf } from './support/dockerfile.ts';
import { complaintsOf, read, yamlOf } from './support/tools.ts';

const [compose] = yamlOf('gpu-runner/compose.yaml');
/** With the defaults of `${NAME:-default}`, and a value for what must be set. */
const filled = (value: string): string =>
  value.replace(/\$\{\w+(?::-([^}]*)|[^}]*)\}/g, (_, given?: string) => given ?? 'x');

it('follows the compose specification', () => {
  const check = (file: string): string | undefined =>
    complaintsOf('check-jsonschema', ['--builtin-schema', 'vendor.compose-spec', file]);
  expect(check('gpu-runner/compose.yaml')).toBeUndefined();
  const folder = mkdtempSync(path.join(tmpdir(), 'deblur-compose-'));
  writeFileSync(path.join(folder, 'compose.yaml'), read('gpu-runner/compose.yaml').replace('read_only:', 'readonly:'));
  expect(check(path.join(folder, 'compose.yaml'))).toContain('readonly');
  rmSync(folder, { recursive: true });
});

it('starts nothing that was not asked for by a profile', () => {
  const profiles = Object.values<{ profiles: string[] }>(compose.services).map((service) => service.profiles);
  expect(profiles).toEqual([['gpu'], ['cpu'], ['tunnel']]);
});

it('reserves a GPU for the CUDA image alone', () => {
  expect(compose.services.gpu.deploy.resources.reservations.devices).toEqual([
    { driver: 'nvidia', count: 1, capabilities: ['gpu'] },
  ]);
  expect(compose.services.cpu.deploy).toBeUndefined();
});

it.each(['gpu', 'cpu'])('gives %s variables that the runner knows and accepts, and time to drain', (name) => {
  const service = compose.services[name];
  const stages = stagesOf(read('gpu-runner/Dockerfile')).map((stage) => stage.name);
  expect(stages).toContain(service.build.target);
  expect(Object.keys(schema.shape)).toEqual(expect.arrayContaining(Object.keys(service.environment)));
  const env = Object.fromEntries(
    Object.entries<string>(service.environment).map(([key, value]) => [key, filled(String(value))]),
  );
  const { drainSeconds } = readConfig({ ...env, ENVIRONMENT: 'production' });
  expect(Number.parseInt(service.stop_grace_period, 10)).toBeGreaterThan(drainSeconds + 5);
});

it.each(['gpu', 'cpu', 'tunnel'])('bounds the processes and the memory of %s, and lets it write nothing', (name) => {
  const service = compose.services[name];
  expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
  expect(service.pids_limit).toBeGreaterThan(0);
  expect(filled(service.mem_limit)).toMatch(/^\d+[mg]$/);
});

it('publishes the runner on loopback only', () => {
  for (const name of ['gpu', 'cpu']) expect(compose.services[name].ports).toEqual(['127.0.0.1:${PORT:-5000}:5000']);
});

/** The Dockerfile's steps, done by hand: packages installed, files copied, the command run, a picture restored over HTTP. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../../scripts/lib/service.ts';
import { decodeRgb, fixture, psnr } from '../support/images.ts';
import { replay, stagesOf, type Replayed } from './support/dockerfile.ts';
import { read } from './support/tools.ts';

const directory = mkdtempSync(path.join(tmpdir(), 'deblur-image-'));
let image: Replayed;
let child: ChildProcess | undefined;
let env: NodeJS.ProcessEnv;
let app: string;

beforeAll(async () => {
  image = replay(stagesOf(read('gpu-runner/Dockerfile')), 'cpu', directory);
  app = path.join(image.directory, image.workdir);
  env = { PATH: path.dirname(process.execPath), ...image.env, HOST: '127.0.0.1', PORT: String(await freePort()) };
  child = spawn(process.execPath, ['gpu-runner/index.ts'], { cwd: app, env, stdio: ['ignore', 'ignore', 'inherit'] });
});

afterAll(async () => {
  if (child?.exitCode === null) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  rmSync(directory, { recursive: true, force: true });
});

const isHealthy = (): boolean =>
  spawnSync(process.execPath, ['gpu-runner/healthcheck.ts'], { cwd: app, env }).status === 0;

it('holds the production packages of the runner for this platform, and no others', () => {
  expect(existsSync(path.join(app, 'node_modules/onnxruntime-node/bin/napi-v6/linux/x64'))).toBe(true);
  for (const absent of ['onnxruntime-node/bin/napi-v6/win32', 'wrangler', 'vitest', 'onnxruntime-web', 'typescript']) {
    const folder = path.join(app, 'node_modules', absent);
    expect(existsSync(path.join(folder, 'x64')) || existsSync(path.join(folder, 'package.json')), absent).toBe(false);
  }
});

it('becomes healthy, restores a picture, and leaves when it is asked to', async () => {
  while (!isHealthy()) {
    expect(child!.exitCode).toBeNull();
    await sleep(200);
  }
  const blurred = await fixture('reds/blur.png');
  const response = await fetch(`http://127.0.0.1:${env['PORT']}/predictions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ input: { image: `data:image/png;base64,${blurred.toString('base64')}`, format: 'png' } }),
  });
  const { status, output } = (await response.json()) as { status: string; output: string };
  expect(status).toBe('succeeded');
  const [restored, sharp, before] = await Promise.all([
    decodeRgb(Buffer.from(output.slice(output.indexOf(',') + 1), 'base64')),
    fixture('reds/sharp.png').then(decodeRgb),
    decodeRgb(blurred),
  ]);
  expect(psnr(restored, sharp)).toBeGreaterThan(psnr(before, sharp));

  child!.kill('SIGTERM');
  const [code] = await once(child!, 'exit');
  expect(code).toBe(0);
  expect(isHealthy()).toBe(false);
});

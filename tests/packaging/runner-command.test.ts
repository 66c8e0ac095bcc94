/** `npm run runner` as an operator sees it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { afterEach, expect, it } from 'vitest';
import { root } from '../../scripts/lib/service.ts';
import { fixture } from '../support/images.ts';

let child: ChildProcess | undefined;

afterEach(async () => {
  if (child?.exitCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
});

function start(env: Readonly<Record<string, string>>): ChildProcess {
  const inherited = { ...process.env };
  // The gateway's tests set it for all of Vitest, and it would close the runner to this test.
  delete inherited['RUNNER_TOKEN'];
  child = spawn(process.execPath, [path.join(root, 'scripts/runner.ts')], {
    cwd: root,
    env: { ...inherited, PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return child;
}

it('prints one line when it is ready, and ends what it began before it leaves', async () => {
  const { stdout, stderr } = start({ EXECUTION_PROVIDER: 'cpu' });
  // A pipe that nobody reads stops its writer once it is full.
  stderr!.resume();
  const lines = createInterface({ input: stdout! });
  const [line] = (await once(lines, 'line')) as [string];
  const url = /^Runner is ready: (http:\/\/127\.0\.0\.1:\d+)$/.exec(line)![1]!;
  const image = `data:image/png;base64,${(await fixture('reds/blur.png')).toString('base64')}`;
  const post = fetch(`${url}/predictions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ input: { image, format: 'jpeg', model: 'dhnet-edge' } }),
  });
  while (((await (await fetch(`${url}/health-check`)).json()) as { slots: { busy: number } }).slots.busy === 0);
  child!.kill('SIGINT');
  expect(await (await post).json()).toMatchObject({ status: 'succeeded' });
  const [code] = (await once(child!, 'exit')) as [number];
  expect(code).toBe(0);
});

it('says why it cannot start', async () => {
  const { stdout, stderr } = start({ MODEL_DIR: path.join(root, 'docs/guide') });
  const [out, err, [code]] = await Promise.all([text(stdout!), text(stderr!), once(child!, 'exit')]);
  expect(out).toBe('');
  expect(err).toContain('npm run runner: no model with trained weights');
  expect(code).toBe(1);
});

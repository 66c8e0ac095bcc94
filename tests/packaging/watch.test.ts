import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Server } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it, onTestFinished } from 'vitest';
import { root } from '../../scripts/lib/service.ts';
import { silenceOf } from '../../scripts/lib/watch.ts';

async function listening(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/healthz`;
}

it('a port that accepts and never answers is noticed', async () => {
  const url = await listening(createTcpServer(() => undefined));
  const watch = new AbortController();
  onTestFinished(() => watch.abort());
  expect(await silenceOf(url, { signal: watch.signal, everyMs: 20, limitMs: 100 })).toContain('has not answered');
});

it('a service that answers, even with 503, is left running', async () => {
  let asked = 0;
  const enough = Promise.withResolvers<string>();
  const server = createServer((_, response) => {
    response.writeHead(503).end();
    if (++asked === 5) enough.resolve('five answers');
  });
  const watch = new AbortController();
  onTestFinished(() => watch.abort());
  const silent = silenceOf(await listening(server), { signal: watch.signal, everyMs: 1, limitMs: 60_000 });
  expect(await Promise.race([silent, enough.promise])).toBe('five answers');
});

it('a process whose parent was killed ends', async () => {
  const watch = path.join(root, 'scripts/lib/watch.ts');
  const child = `import(${JSON.stringify(watch)}).then(({ whenParentIsGone }) => {
    setInterval(() => undefined, 1000);
    whenParentIsGone(() => {
      console.log('alone');
      process.exit(0);
    }, 20);
    console.log('watching');
  })`;
  const parent = spawn(
    process.execPath,
    [
      '-e',
      `require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(child)}], { stdio: ['ignore', 1, 2], detached: true }).unref(); setInterval(() => 0, 1000)`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const lines: string[] = [];
  for await (const line of createInterface({ input: parent.stdout })) {
    lines.push(line);
    if (line === 'watching') parent.kill('SIGKILL');
  }
  // The pipe has ended, and with it the last process that held it.
  expect(lines).toEqual(['watching', 'alone']);
});

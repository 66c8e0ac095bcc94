import type { LookupAddress } from 'node:dns';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { HttpClient } from '../../gpu-runner/transfers/http-client.ts';
import { readSource } from '../../gpu-runner/transfers/source.ts';
import { upload } from '../../gpu-runner/transfers/upload.ts';

/** Counts who comes: nobody may. */
let connections = 0;
const trap = createServer((socket) => {
  connections++;
  socket.destroy();
});

beforeAll(async () => {
  trap.listen(0, '127.0.0.1');
  await once(trap, 'listening');
});
afterAll(() => void trap.close());

const { signal } = new AbortController();

function clientFor(addresses: readonly LookupAddress[]): HttpClient {
  return new HttpClient({ allowOrigins: [], resolve: async () => addresses });
}

function trapUrl(): string {
  return `https://pictures.example.com:${(trap.address() as AddressInfo).port}/a.png`;
}

it.each([
  ['loopback', [{ address: '127.0.0.1', family: 4 }]],
  ['IPv6 loopback', [{ address: '::1', family: 6 }]],
  ['loopback in IPv6', [{ address: '::ffff:127.0.0.1', family: 6 }]],
  ['the metadata service', [{ address: '169.254.169.254', family: 4 }]],
  [
    'a public address and loopback',
    [
      { address: '93.184.216.34', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ],
  ],
  ['nothing', []],
])('never dials a name that resolves to %s', async (_, addresses) => {
  const client = clientFor(addresses);
  await expect(readSource(trapUrl(), client, signal)).rejects.toMatchObject({ code: 'forbidden' });
  const file = { url: trapUrl(), bytes: Uint8Array.of(1), mediaType: 'image/png' };
  await expect(upload(file, client, signal)).rejects.toMatchObject({ code: 'forbidden' });
  expect(connections).toBe(0);
  await client.close();
});

it('says that a source cannot be reached when its name does not resolve', async () => {
  const client = new HttpClient({ allowOrigins: [], resolve: () => Promise.reject(new Error('ENOTFOUND')) });
  await expect(readSource('https://nowhere.example.com/', client, signal)).rejects.toMatchObject({
    code: 'source_fetch_failed',
  });
  await client.close();
});

it.each(['data:image/png;base64', 'data:image/png,abc', 'data:image/png;base64,%%%', 'data:;base64,a=b='])(
  'refuses "%s", which is not base64',
  async (uri) => {
    const client = clientFor([]);
    await expect(readSource(uri, client, signal)).rejects.toMatchObject({ code: 'invalid_option' });
    await client.close();
  },
);

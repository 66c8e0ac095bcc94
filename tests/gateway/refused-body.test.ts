/**
 * A caller that sends all of its body before it reads, as most clients do, gets the answer and not a reset connection,
 * however early it was refused.
 */
import { connect } from 'cloudflare:sockets';
import { createExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, inject, it } from 'vitest';
import { createApp } from '../../workers/gateway/app.ts';
import { createPorts } from '../../workers/gateway/deps.ts';
import type { Ports } from '../../workers/gateway/http/ports.ts';
import { newAddress } from './access/support.ts';

/** Far more than the sockets and the server buffer, and little enough to run out within the time that is given. */
const BODY_BYTES = 5_000_000;
const PIECE = new Uint8Array(1_000_000);

/** The status line's number, after the whole body was written to the socket. */
async function statusAfterBody(method: string, path: string, headers: Record<string, string> = {}): Promise<number> {
  const socket = connect({ hostname: '127.0.0.1', port: inject('gatewayPort') }, { allowHalfOpen: true });
  const lines = Object.entries({ Host: 'deblur.test', 'Content-Length': String(BODY_BYTES), ...headers });
  const head = `${method} ${path} HTTP/1.1\r\n${lines.map((line) => line.join(': ')).join('\r\n')}\r\n\r\n`;
  const writer = socket.writable.getWriter();
  await writer.write(new TextEncoder().encode(head));
  for (let sent = 0; sent < BODY_BYTES; sent += PIECE.length) {
    await writer.write(PIECE.subarray(0, Math.min(PIECE.length, BODY_BYTES - sent)));
  }
  const { value } = await socket.readable.getReader().read();
  await socket.close();
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(new TextDecoder().decode(value))?.[1]);
}

describe('a body that is refused before it is read', () => {
  it.each<[string, string, string, number, Record<string, string>?]>([
    ['an unknown path', 'POST', '/v1/nothing', 404],
    ['another method', 'PUT', '/v1/deblur', 405],
    ['an unknown option in the query', 'POST', '/v1/deblur?sharpness=9', 422],
    [
      'an announced length',
      'POST',
      '/v1/deblur',
      413,
      { 'Content-Type': 'application/json', 'Content-Length': '8000001' },
    ],
    ['a form without a boundary', 'POST', '/v1/deblur', 400, { 'Content-Type': 'multipart/form-data' }],
    ['a header', 'POST', '/v1/predictions', 422, { 'Cancel-After': 'soon' }],
    ['an id', 'PUT', '/v1/predictions/x', 422],
    ['the wrong content type', 'POST', '/v1/files', 400, { 'Content-Type': 'image/png' }],
    ['a token', 'PUT', '/internal/results/x', 403],
  ])('for %s', async (_, method, path, status, headers) => {
    expect(await statusAfterBody(method, path, headers)).toBe(status);
  });
});

describe('a caller that is refused', () => {
  const { rateLimits } = createPorts(env);
  const flooded = { ...rateLimits, admit: async () => false };

  it.each<[string, Partial<Ports>, Record<string, string>, number]>([
    ['without a key', { accessMode: 'keys' }, {}, 401],
    ['with a key that is nobody’s', { accessMode: 'keys' }, { authorization: 'Bearer nobody' }, 401],
    ['for too many requests', { accessMode: 'keys_and_anonymous', rateLimits: flooded }, {}, 429],
  ])('%s may send its body to the end', async (_, ports, headers, status) => {
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (sent >= BODY_BYTES) return controller.close();
        controller.enqueue(PIECE);
        sent += PIECE.length;
      },
    });
    const init = { method: 'POST', headers: { 'cf-connecting-ip': newAddress(), ...headers }, body };
    const app = createApp({ ...createPorts(env), ...ports });
    const response = await app.fetch(new Request('https://deblur.test/v1/deblur', init), env, createExecutionContext());
    expect([response.status, sent]).toEqual([status, BODY_BYTES]);
  });
});

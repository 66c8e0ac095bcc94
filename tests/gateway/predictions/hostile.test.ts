/** What may come to a create, and to the ids of predictions: each is a problem with its code, and none is our failure. */
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { createPorts } from '../../../workers/gateway/deps.ts';
import { commandOf } from '../support/command.ts';
import { call, problem, problemOf, stored } from '../support/gateway.ts';
import { create, created, dataUri, ending, get, read } from '../support/predictions.ts';
import { animatedGif, concat, png } from '../support/pictures.ts';

const LONG_WEBHOOK = 'https://hooks.example.com/'.padEnd(2_049, 'a');

describe('hostile creates', () => {
  const good = { image: 'https://example.com/a.png' };
  const nested = `${'{"input":'.repeat(2000)}1${'}'.repeat(2000)}`;

  it.each<[string, unknown, number, string]>([
    ['nothing', '', 400, 'empty_body'],
    ['no JSON', '{"input":', 400, 'malformed_request'],
    ['a list', '[]', 400, 'malformed_request'],
    ['null', 'null', 400, 'malformed_request'],
    ['no input', {}, 422, 'invalid_option'],
    ['an input that is a text', { input: 'x' }, 422, 'invalid_option'],
    ['an input that is a list', { input: [] }, 422, 'invalid_option'],
    ['deep nesting', nested, 400, 'malformed_request'],
    ['no image', { input: {} }, 422, 'invalid_option'],
    ['an image that is a number', { input: { image: 7 } }, 422, 'invalid_option'],
    ['an image that is an object', { input: { image: { url: 'x' } } }, 422, 'invalid_option'],
    ['an empty image', { input: { image: '' } }, 422, 'invalid_option'],
    ['an image that is text', { input: { image: 'a picture of a cat' } }, 422, 'invalid_option'],
    ['a file that is not there', { input: { image: 'abcdefghijklmnop' } }, 422, 'invalid_option'],
    [
      'a file of ours that is not there',
      { input: { image: 'https://deblur.test/v1/files/abc' } },
      422,
      'invalid_option',
    ],
    [
      'an address that is too long',
      { input: { image: `https://example.com/${'a'.repeat(5000)}` } },
      422,
      'invalid_option',
    ],
    ['a data URI without base64', { input: { image: 'data:image/png,abc' } }, 422, 'invalid_option'],
    ['a data URI that is broken', { input: { image: 'data:image/png;base64,****' } }, 422, 'invalid_option'],
    ['a data URI of nothing', { input: { image: 'data:image/png;base64,' } }, 400, 'empty_body'],
    [
      'a data URI of text',
      { input: { image: 'data:image/png;base64,aGVsbG8gd29ybGQ=' } },
      415,
      'unsupported_media_type',
    ],
    ['an animation', { input: { image: dataUri(animatedGif()) } }, 422, 'image_animated'],
    ['a bomb', { input: { image: dataUri(png({ width: 60_000, height: 60_000 })) } }, 422, 'image_too_many_pixels'],
    ['a truncated picture', { input: { image: dataUri(png().slice(0, 20)) } }, 422, 'image_truncated'],
    ['http', { input: { image: 'http://example.com/a.png' } }, 403, 'forbidden'],
    ['file:', { input: { image: 'file:///etc/passwd' } }, 403, 'forbidden'],
    ['javascript:', { input: { image: 'javascript:alert(1)' } }, 403, 'forbidden'],
    ['loopback', { input: { image: 'https://127.0.0.1/a.png' } }, 403, 'forbidden'],
    ['loopback as a number', { input: { image: 'https://2130706433/a.png' } }, 403, 'forbidden'],
    ['loopback in hexadecimal', { input: { image: 'https://0x7f.1/a.png' } }, 403, 'forbidden'],
    ['IPv6', { input: { image: 'https://[::1]/a.png' } }, 403, 'forbidden'],
    ['metadata service', { input: { image: 'https://169.254.169.254/latest' } }, 403, 'forbidden'],
    ['an internal name', { input: { image: 'https://metadata.google.internal/' } }, 403, 'forbidden'],
    ['a name without dots', { input: { image: 'https://intranet/' } }, 403, 'forbidden'],
    ['a password', { input: { image: 'https://user:pass@example.com/a.png' } }, 403, 'forbidden'],
    ['an unknown option', { input: { ...good, scale: 2 } }, 422, 'unknown_option'],
    ['an unknown key', { input: good, hardware: 'cpu' }, 422, 'unknown_option'],
    ['a quality out of range', { input: { ...good, quality: 101 } }, 422, 'invalid_option'],
    ['a format that is none', { input: { ...good, format: 'bmp' } }, 422, 'invalid_option'],
    ['a version that is a number', { version: 3, input: good }, 422, 'invalid_option'],
    ['an id without PUT', { id: 'a'.repeat(26), input: good }, 422, 'invalid_option'],
    ['a webhook of 2,049 characters', { input: good, webhook: LONG_WEBHOOK }, 422, 'invalid_option'],
    ['a webhook to an address', { input: good, webhook: 'https://10.0.0.1/hook' }, 403, 'forbidden'],
    ['an event that is none', { input: good, webhook_events_filter: ['done'] }, 422, 'invalid_option'],
    ['many events', { input: good, webhook_events_filter: Array(9).fill('start') }, 422, 'invalid_option'],
  ])('%s', async (_, body, status, code) => {
    const response = await create(body);
    expect(await problemOf(response)).toEqual(problem(status, code));
    expect(await stored('')).toEqual([]);
  });

  it.each([
    ['Cancel-After', { 'cancel-after': 'soon' }],
    ['Cancel-After that is too short', { 'cancel-after': '1s' }],
  ])('%s', async (_, headers) => {
    expect(await problemOf(await create({ input: good }, { headers }))).toEqual(problem(422, 'invalid_option'));
  });

  it('a body that is too large', async () => {
    const response = await create(JSON.stringify({ input: { image: 'x'.repeat(8_100_000) } }));
    expect(await problemOf(response)).toEqual(problem(413, 'body_too_large'));
  });

  it.each([
    ['UTF-16', Uint8Array.of(0xff, 0xfe, 0x7b, 0x00), 400, 'malformed_request'],
    [
      'half a character',
      concat(new TextEncoder().encode('{"version":"'), Uint8Array.of(0xc3)),
      400,
      'malformed_request',
    ],
  ])('%s', async (_, body, status, code) => {
    const headers = { 'content-type': 'application/json' };
    const response = await call('/v1/predictions', { method: 'POST', headers, body });
    expect(await problemOf(response)).toEqual(problem(status, code));
  });

  it.each([
    ['no picture', 'text=1', 'application/x-www-form-urlencoded', 415, 'unsupported_media_type'],
    ['a form without boundary', 'x', 'multipart/form-data', 400, 'malformed_request'],
  ])('%s', async (_, body, type, status, code) => {
    const response = await call('/v1/predictions', { method: 'POST', headers: { 'content-type': type }, body });
    expect(await problemOf(response)).toEqual(problem(status, code));
  });

  it('unknown options of a form leave nothing stored', async () => {
    const form = new FormData();
    form.set('image', new Blob([concat(png(), new Uint8Array(5_000_000))]), 'a.png');
    form.set('scale', '2');
    const response = await call('/v1/predictions', { method: 'POST', body: form });
    expect(await problemOf(response)).toEqual(problem(422, 'unknown_option'));
    expect(await stored('')).toEqual([]);
  });
});

describe('a tenant', () => {
  it('sees nothing of another', async () => {
    const { predictions } = createPorts(env);
    const { id } = await created({ input: { image: dataUri(png()) } });
    await ending(id);
    expect((await predictions.read('local', id))?.prediction.id).toBe(id);
    expect(await predictions.read('other', id)).toBeNull();
    expect(await predictions.next('other', id, null, 10)).toBeNull();
    expect(await predictions.cancel('other', id)).toBeNull();
    expect((await predictions.list('other', null)).results).toEqual([]);
    // Nor may it choose an id that is taken elsewhere and get at it.
    const command = { ...commandOf(), id, tenantId: 'other' };
    const chosen = { idempotencyKey: null, idIsChosen: true };
    expect(await predictions.reserve(command, chosen)).toEqual({ kind: 'new', id });
    const own = await predictions.create(command, chosen);
    expect(own).toMatchObject({ created: true, snapshot: { prediction: { id, input: command.input } } });
    await predictions.cancel('other', id);
    expect((await read(id)).status).toBe('succeeded');
  });

  it.each(['a'.repeat(26), 'short', 'A'.repeat(26), '%00', '..%2f..', 'x'.repeat(500)])(
    'finds nothing under %s',
    async (id) => {
      expect(await problemOf(await get(id))).toEqual(problem(404, 'not_found'));
      const canceled = await call(`/v1/predictions/${id}/cancel`, { method: 'POST' });
      expect(await problemOf(canceled)).toEqual(problem(404, 'not_found'));
    },
  );

  it.each([
    ['DELETE', '/v1/predictions', 'GET, HEAD, POST'],
    ['POST', `/v1/predictions/${'a'.repeat(26)}`, 'GET, HEAD, PUT'],
    ['GET', `/v1/predictions/${'a'.repeat(26)}/cancel`, 'POST'],
    ['GET', '/v1/models/deblur/dhnet-edge/predictions', 'POST'],
  ])('405 for %s %s', async (method, path, allow) => {
    const response = await call(path, { method });
    expect(response.headers.get('allow')).toBe(allow);
    expect(await problemOf(response)).toEqual(problem(405, 'method_not_allowed'));
  });
});

/** Results in parts, by the protocol of uploadCompletionSchema: on workerd, with R2's own rules for parts. */
import { env } from 'cloudflare:workers';
import { sha256Hex } from '@deblur/shared/net/digest.ts';
import { INTERNAL_URL_TTL_SECONDS, RESULT_UPLOAD_MAX_BYTES, UPLOAD_PART_MIN_BYTES } from '@deblur/shared/limits.ts';
import { describe, expect, inject, it } from 'vitest';
import type { InternalGrant } from '../../workers/gateway/runners/ports.ts';
import { SignedInternalUrls } from '../../workers/gateway/runners/internal-urls.ts';
import { ResultStore } from '../../workers/gateway/results/result-store.ts';
import { call, problem, problemOf, stored } from './support/gateway.ts';
import { pattern } from './support/pattern.ts';

const PART = UPLOAD_PART_MIN_BYTES;
const FILE = pattern(PART * 2 + 1);
const SHA256 = await sha256Hex(FILE);

const signer = { origin: env.INTERNAL_ORIGIN, secret: env.INTERNAL_SECRET };
const urls = new SignedInternalUrls(signer);
const metadata = { model: 'dhnet-edge', modelVersion: 'c'.repeat(64), placement: 'runner', restoration: null } as const;
const store = new ResultStore(env.STORE);

const newKey = (): string => crypto.getRandomValues(new Uint8Array(32)).toHex();
const grantOf = (key: string, partBytes: number | undefined = PART) =>
  ({ purpose: 'write', kind: 'master', key, contentType: 'image/png', metadata, partBytes }) as const;
const pathOf = async (grant: InternalGrant): Promise<string> => new URL(await urls.sign(grant)).pathname;

const begin = (path: string, contentType = 'image/png'): Promise<Response> =>
  call(path, { method: 'POST', headers: { 'content-type': contentType } });

async function begun(path: string): Promise<string> {
  const response = await begin(path);
  expect(response.status).toBe(201);
  return path + response.headers.get('location');
}

const slice = (number: number): Uint8Array<ArrayBuffer> => FILE.slice((number - 1) * PART, number * PART);

function putPart(upload: string, number: number | string, body = slice(Number(number)), length = body.length) {
  const headers = { 'content-length': String(length) };
  return call(`${upload}&partNumber=${number}`, { method: 'PUT', body, headers });
}

async function etagOf(response: Promise<Response>): Promise<string> {
  const { status, headers } = await response;
  expect(status).toBe(200);
  return headers.get('etag') ?? '';
}

const complete = (upload: string, end: object): Promise<Response> =>
  call(upload, { method: 'POST', body: JSON.stringify(end) });

/** All of FILE but the end of its upload. */
async function sent(path: string): Promise<{ upload: string; end: { sha256: string; etags: string[] } }> {
  const upload = await begun(path);
  const etags = [];
  for (const number of [1, 2, 3]) etags.push(await etagOf(putPart(upload, number)));
  return { upload, end: { sha256: SHA256, etags } };
}

async function bytesOf(key: string): Promise<Uint8Array | undefined> {
  const found = await store.get('master', key);
  return found?.kind === 'stored' ? found.bytes() : undefined;
}

describe('the runner', () => {
  it.each([PART - 1, PART, PART + 1, 2 * PART - 1, 2 * PART, 2 * PART + 1, 3 * PART, 3 * PART + 4321])(
    'hands over the very bytes of a file of %i, by its own upload',
    async (size) => {
      const key = newKey();
      const order = { url: await urls.sign(grantOf(key)), size, mediaType: 'image/png', partBytes: PART };
      const answer = await fetch(inject('uploaderUrl'), { method: 'POST', body: JSON.stringify(order) });
      expect([answer.status, await answer.text()]).toEqual([200, '']);
      const bytes = pattern(size);
      expect(await store.head('master', key)).toMatchObject({
        ...metadata,
        size,
        contentType: 'image/png',
        sha256: await sha256Hex(bytes).then((hex) => Uint8Array.fromHex(hex)),
      });
      expect(await sha256Hex((await bytesOf(key))!)).toBe(await sha256Hex(bytes));
      expect(await stored('')).toEqual([`masters/${key}`]);
    },
  );
});

describe('an upload in parts', () => {
  it('is one however often each of its requests comes', async () => {
    const key = newKey();
    const path = await pathOf(grantOf(key));
    await begun(path);
    const { upload, end } = await sent(path);
    const [, , last] = end.etags;
    const again = await etagOf(putPart(upload, 1));
    const repeated = { ...end, etags: [again, `W/${await etagOf(putPart(upload, 2))}`, last] };
    for (let i = 0; i < 3; i++) expect((await complete(upload, repeated)).status).toBe(204);
    expect(await sha256Hex((await bytesOf(key))!)).toBe(SHA256);
    expect(await stored('')).toEqual([`masters/${key}`]);
  });

  it('ends well although its first end died between joining and storing', async () => {
    const key = newKey();
    const path = await pathOf(grantOf(key));
    const { upload, end } = await sent(path);
    const id = await urls.verifyUpload(
      path.split('/').at(-1)!,
      new URL(upload, signer.origin).searchParams.get('uploadId')!,
    );
    const name = `uploads/${await sha256Hex(path.split('/').at(-1)!)}`;
    const parts = end.etags.map((etag, i) => ({ etag: etag.slice(1, -1), partNumber: i + 1 }));
    await env.STORE.resumeMultipartUpload(name, id).complete(parts);
    expect(await stored('')).toEqual([name]);
    expect((await complete(upload, end)).status).toBe(204);
    expect(await stored('')).toEqual([`masters/${key}`]);
  });

  it('changes nothing that is held, and is taken for done', async () => {
    const key = newKey();
    const { upload, end } = await sent(await pathOf(grantOf(key)));
    await store.put('master', key, new Uint8Array([1, 2, 3]), 'image/png', metadata);
    expect((await complete(upload, { ...end, etags: ['whatever'] })).status).toBe(204);
    expect(await bytesOf(key)).toEqual(new Uint8Array([1, 2, 3]));
    expect(await problemOf(await putPart(upload, 1))).toEqual(problem(404, 'not_found'));
  });

  it('that is given up is over, twice too, and what was stored stays', async () => {
    const [dropped, kept] = [newKey(), newKey()];
    const { upload, end } = await sent(await pathOf(grantOf(dropped)));
    for (let i = 0; i < 2; i++) expect((await call(upload, { method: 'DELETE' })).status).toBe(204);
    expect(await problemOf(await putPart(upload, 2))).toEqual(problem(404, 'not_found'));
    expect(await problemOf(await complete(upload, end))).toEqual(problem(404, 'not_found'));
    const done = await sent(await pathOf(grantOf(kept)));
    await complete(done.upload, done.end);
    expect((await call(done.upload, { method: 'DELETE' })).status).toBe(204);
    expect(await stored('')).toEqual([`masters/${kept}`]);
  });
});

describe('refused at its beginning', () => {
  it.each([
    ['another type', async () => begin(await pathOf(grantOf(newKey())), 'text/html'), 400, 'malformed_request'],
    [
      'a URL that takes no parts',
      async () => begin(await pathOf({ ...grantOf(newKey()), partBytes: undefined })),
      403,
      'forbidden',
    ],
    [
      'a URL for reading',
      async () =>
        begin((await pathOf({ purpose: 'read', kind: 'master', key: newKey() })).replace('sources', 'results')),
      403,
      'forbidden',
    ],
    [
      'a URL that has expired',
      async () => {
        const now = () => Date.now() - INTERNAL_URL_TTL_SECONDS * 1000;
        return begin(new URL(await new SignedInternalUrls({ ...signer, now }).sign(grantOf(newKey()))).pathname);
      },
      403,
      'forbidden',
    ],
  ] as const)('%s', async (_, request, status, code) => {
    expect(await problemOf(await request())).toEqual(problem(status, code));
  });
});

describe('refused of a part', () => {
  const lastNumber = Math.ceil(RESULT_UPLOAD_MAX_BYTES / PART);

  it.each([
    ['no number', ''],
    ['number 0', 0],
    ['a negative number', -1],
    ['half a number', 1.5],
    ['no number at all', 'one'],
    ['a number beyond the largest file', lastNumber + 1],
    ['a number beyond all numbers', '1e400'],
  ])('%s', async (_, number) => {
    const upload = await begun(await pathOf(grantOf(newKey())));
    expect(await problemOf(await putPart(upload, number, slice(1)))).toEqual(problem(400, 'malformed_request'));
  });

  it.each([
    ['more than a part', 1, PART + 1],
    ['more than the largest file has left', lastNumber, (RESULT_UPLOAD_MAX_BYTES % PART) + 1],
  ])('%s', async (_, number, length) => {
    const upload = await begun(await pathOf(grantOf(newKey())));
    const response = await putPart(upload, number, pattern(8), length);
    expect(await problemOf(response)).toEqual(problem(413, 'body_too_large'));
  });

  it.each(['PUT', 'POST', 'DELETE'])('and of all else: an upload of another URL, by %s', async (method) => {
    const upload = await begun(await pathOf(grantOf(newKey())));
    const own = await pathOf(grantOf(newKey()));
    for (const search of [
      upload.slice(upload.indexOf('?')),
      '?uploadId=made-up',
      '?uploadId=',
      `?uploadId=.${'x'.repeat(3000)}`,
    ]) {
      const response = await call(`${own}${search}&partNumber=1`, { method, body: method === 'DELETE' ? null : '{}' });
      expect(await problemOf(response)).toEqual(problem(403, 'forbidden'));
    }
    expect(await problemOf(await call(own, { method: 'DELETE' }))).toEqual(problem(400, 'malformed_request'));
  });
});

describe('refused at its end', () => {
  type End = { sha256: string; etags: string[] };

  it.each([
    ['another digest', (end: End) => ({ ...end, sha256: '0'.repeat(64) })],
    ['parts in another order', ({ etags: [a, b, c], ...end }: End) => ({ ...end, etags: [b, a, c] })],
    ['a part that never came', ({ etags, ...end }: End) => ({ ...end, etags: [...etags, 'made-up'] })],
    ['a part too few', ({ etags, ...end }: End) => ({ ...end, etags: etags.slice(0, 2) })],
    ['no parts', (end: End) => ({ ...end, etags: [] })],
    ['no digest', ({ etags }: End) => ({ etags })],
    ['what nobody asked for', (end: End) => ({ ...end, key: newKey() })],
  ])('%s', async (_, change) => {
    const { upload, end } = await sent(await pathOf(grantOf(newKey())));
    expect(await problemOf(await complete(upload, change(end)))).toEqual(problem(400, 'malformed_request'));
    expect(await stored('')).toEqual([]);
  });

  it.each([
    ['parts that are too small', [PART - 1, 1]],
    ['parts of several sizes', [PART, PART - 1, 1]],
    ['a last part that is larger', [PART, PART + 1]],
  ])('%s', async (_, sizes) => {
    const upload = await begun(await pathOf(grantOf(newKey(), PART + 1)));
    const etags = [];
    for (const [i, size] of sizes.entries()) etags.push(await etagOf(putPart(upload, i + 1, pattern(size))));
    const response = await complete(upload, { sha256: SHA256, etags });
    expect(await problemOf(response)).toEqual(problem(400, 'malformed_request'));
    expect(await stored('')).toEqual([]);
  });

  it.each(['', '{', '[]', 'x'.repeat(70_000)])('what is no end at all', async (body) => {
    const upload = await begun(await pathOf(grantOf(newKey())));
    const { status } = await call(upload, { method: 'POST', body });
    expect(status).toBe(body.length > 64 * 1024 ? 413 : 400);
  });
});

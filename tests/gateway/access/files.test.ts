import { env } from 'cloudflare:workers';
import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import Replicate from 'replicate';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ASYNC_UPLOAD_MAX_BYTES, FILE_PAGE_SIZE, FILE_RETENTION_SECONDS } from '@deblur/shared/limits.ts';
import { createPorts } from '../../../workers/gateway/deps.ts';
import type { FileRecord } from '../../../workers/gateway/tenants/access-ports.ts';
import { call, problem, problemOf, stored } from '../support/gateway.ts';
import { jpeg, png } from '../support/pictures.ts';
import { newTenant, ORIGIN, production, type Production } from './support.ts';

afterEach(() => vi.restoreAllMocks());

const sha256 = async (bytes: Uint8Array<ArrayBuffer>) =>
  new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)).toHex();

function form(parts: Record<string, string | Uint8Array<ArrayBuffer>>): FormData {
  const body = new FormData();
  for (const [name, value] of Object.entries(parts)) {
    if (typeof value === 'string') body.append(name, value);
    else body.append(name, new Blob([value]), 'blurred.jpg');
  }
  return body;
}

const post = (parts: Parameters<typeof form>[0]) => ({ method: 'POST', body: form(parts) });

interface FileBody {
  readonly id: string;
  readonly [name: string]: unknown;
}

async function upload(
  send: Production['call'],
  key: string | null = null,
  picture: Uint8Array<ArrayBuffer> = png(),
): Promise<FileBody> {
  const response = await send('/v1/files', { ...post({ content: picture }), key });
  if (response.status !== 201) throw new Error(await response.text());
  return response.json();
}

describe('the real replicate client', () => {
  const replicate = new Replicate({
    auth: 'any',
    baseUrl: `${ORIGIN}/v1`,
    fetch: ((url: URL | string, init: RequestInit) => {
      const { pathname, search } = new URL(url);
      return call(pathname + search, init);
    }) as never,
  });

  it('creates, gets, lists and deletes', async () => {
    const picture = jpeg();
    const created = await replicate.files.create(new File([picture], 'my photo.jpg', { type: 'image/png' }), {
      a: [1],
    });
    expect(created).toEqual({
      id: expect.stringMatching(/^file_[0-9a-f]{32}$/),
      name: 'my photo.jpg',
      content_type: 'image/jpeg',
      size: picture.length,
      etag: await sha256(picture),
      checksums: { sha256: await sha256(picture) },
      metadata: { a: [1] },
      created_at: expect.stringMatching(/^\d{4}-.*Z$/),
      expires_at: expect.stringMatching(/^\d{4}-.*Z$/),
      urls: { get: `${ORIGIN}/v1/files/${created.id}` },
    });
    const life = Date.parse(created.expires_at ?? '') - Date.parse(created.created_at);
    expect(life).toBe(FILE_RETENTION_SECONDS * 1000);
    expect(await replicate.files.get(created.id)).toEqual(created);
    expect((await replicate.files.list()).results).toContainEqual(created);
    expect(await replicate.files.delete(created.id)).toBe(true);
    await expect(replicate.files.get(created.id)).rejects.toThrow('404');
  });

  it('reads and rotates the webhook secret', async () => {
    const { key } = await replicate.webhooks.default.secret.get();
    expect(key).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect((await replicate.webhooks.default.secret.get()).key).toBe(key);
  });
});

describe('POST /v1/files', () => {
  it('stores the bytes of one scope once', async () => {
    const picture = png();
    const first = await upload(call, null, picture);
    const second = await upload(call, null, picture);
    expect(first.id).not.toBe(second.id);
    expect(await stored('')).toEqual([expect.stringMatching(/^sources\//)]);
  });

  it('streams what does not fit into memory', async () => {
    const large = png({ bytes: 9_000_000 });
    const { id } = await upload(call, null, large);
    expect(await stored('')).toEqual([expect.stringMatching(/^sources\//), expect.stringMatching(/^uploads\//)]);
    const body = await createPorts(env).files.open('local', id);
    expect(await sha256((await body!.bytes()) as Uint8Array<ArrayBuffer>)).toBe(await sha256(large));
  });

  it('keeps the bytes as long as the name, however long they were there', async () => {
    const picture = png();
    await upload(call, null, picture);
    const [key = ''] = await stored('sources/');
    const before = (await env.STORE.head(key))?.version;
    await upload(call, null, picture);
    expect((await env.STORE.head(key))?.version).not.toBe(before);
  });

  it.each<[string, RequestInit, number, string]>([
    ['no form', { method: 'POST', body: png(), headers: { 'content-type': 'image/png' } }, 400, 'malformed_request'],
    ['no content', post({ metadata: '{}' }), 400, 'malformed_request'],
    ['empty content', post({ content: new Uint8Array() }), 400, 'empty_body'],
    [
      'text as content',
      post({ content: Uint8Array.from('#!/bin/sh', (letter) => letter.charCodeAt(0)) }),
      415,
      'unsupported_media_type',
    ],
    ['a bomb', post({ content: png({ width: 60_000, height: 60_000 }) }), 422, 'image_too_many_pixels'],
    ['a cut picture', post({ content: jpeg().subarray(0, 12) }), 422, 'image_truncated'],
    ['metadata that is no JSON', post({ content: png(), metadata: '{' }), 422, 'invalid_option'],
    ['metadata that is no object', post({ content: png(), metadata: '[1]' }), 422, 'invalid_option'],
    ['long metadata', post({ content: png(), metadata: `{"a":"${'x'.repeat(2000)}"}` }), 400, 'malformed_request'],
    ['an unknown field', post({ content: png(), path: '/etc' }), 422, 'unknown_option'],
    [
      'an announced giant',
      { ...post({ content: png() }), headers: { 'content-length': String(ASYNC_UPLOAD_MAX_BYTES * 2) } },
      413,
      'body_too_large',
    ],
  ])('refuses %s, and leaves nothing', async (_, init, status, code) => {
    const { call: send, keyOf } = production();
    const response = await send('/v1/files', { ...init, key: await keyOf(newTenant()) });
    expect(await problemOf(response)).toEqual(problem(status, code));
    expect(await stored('')).toEqual([]);
  });

  it.each([
    ['../../etc/passwd', '../../etc/passwd'],
    ['a\nb\r\u0000c', 'abc'],
    ['x'.repeat(1000), 'x'.repeat(255)],
    ['', 'file'],
    ['été 🎉.png', 'été 🎉.png'],
  ])('takes %j for a name and nothing more', async (filename, shown) => {
    const body = form({ content: png(), filename });
    const file = await (await call('/v1/files', { method: 'POST', body })).json<FileBody>();
    expect(file['name']).toBe(shown);
  });
});

describe('a file', () => {
  it('is another tenant’s 404', async () => {
    const { call: send, keyOf } = production();
    const [ours, theirs] = [newTenant(), newTenant()];
    const [key, foreign] = [await keyOf(ours), await keyOf(theirs)];
    const { id } = await upload(send, key);
    const missing = problem(404, 'not_found');
    expect((await send(`/v1/files/${id}`, { key })).status).toBe(200);
    expect(await problemOf(await send(`/v1/files/${id}`, { key: foreign }))).toEqual(missing);
    expect(await problemOf(await send(`/v1/files/${id}`, { method: 'DELETE', key: foreign }))).toEqual(missing);
    const list = await (await send('/v1/files', { key: foreign })).json<{ results: unknown[] }>();
    expect(list.results).toEqual([]);
    const { files } = createPorts(env);
    expect(await files.open(theirs, id)).toBeNull();
    expect((await files.open(ours, id))?.size).toBeGreaterThan(0);
    expect((await send(`/v1/files/${id}`, { method: 'DELETE', key })).status).toBe(204);
    expect(await files.open(ours, id)).toBeNull();
  });

  it.each(['x', 'file_', `file_${'0'.repeat(32)}`, '%00', 'x'.repeat(5000), "' OR 1=1 --"])(
    '%.40s is a 404',
    async (id) => {
      expect(await problemOf(await call(`/v1/files/${encodeURIComponent(id)}`))).toEqual(problem(404, 'not_found'));
    },
  );

  it('expires, and its tenant is swept', async () => {
    const { call: send, keyOf } = production();
    const tenant = newTenant();
    const key = await keyOf(tenant);
    const { id } = await upload(send, key);
    const later = Date.now() + FILE_RETENTION_SECONDS * 1000;
    vi.spyOn(Date, 'now').mockReturnValue(later);
    const { call: then } = production();
    expect((await then(`/v1/files/${id}`, { key })).status).toBe(404);
    const stub = env.TENANTS.get(env.TENANTS.idFromName(tenant));
    const rows = () =>
      runInDurableObject(stub, (_, { storage }) => storage.sql.exec('SELECT count(*) AS n FROM file').one()['n']);
    expect(await rows()).toBe(1);
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect(await rows()).toBe(0);
    expect(await runDurableObjectAlarm(stub)).toBe(false);
  });

  it('is listed in pages, newest first', async () => {
    const { call: send, keyOf } = production();
    const tenant = newTenant();
    const key = await keyOf(tenant);
    const count = FILE_PAGE_SIZE + 5;
    const stub = env.TENANTS.get(env.TENANTS.idFromName(tenant));
    await runInDurableObject(stub, async (object) => {
      for (let i = 0; i < count; i++) {
        const file: FileRecord = {
          id: `file_${i}`,
          name: 'x',
          format: 'png',
          bytes: 1,
          sha256: 'a'.repeat(64),
          metadata: {},
          createdAt: Date.now(),
          expiresAt: Date.now() + 60_000,
        };
        expect(await object.putFile(file, count)).toBe(true);
        expect(await object.putFile(file, count)).toBe(true);
        if (i === count - 1) expect(await object.putFile({ ...file, id: 'one more' }, count)).toBe(false);
      }
    });
    const ids: string[] = [];
    let next: string | null = '/v1/files';
    for (let pages = 0; next !== null && pages < 5; pages++) {
      const { pathname, search } = new URL(next, ORIGIN);
      const page: { next: string | null; results: FileBody[] } = await (await send(pathname + search, { key })).json();
      ids.push(...page.results.map(({ id }) => id));
      next = page.next;
    }
    expect(ids).toEqual(Array.from({ length: count }, (_, i) => `file_${count - 1 - i}`));
    expect(await problemOf(await send('/v1/files?cursor=x', { key }))).toEqual(problem(422, 'invalid_option'));
  });
});

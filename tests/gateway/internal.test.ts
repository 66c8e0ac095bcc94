import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { INTERNAL_URL_TTL_SECONDS } from '@deblur/shared/limits.ts';
import type { InternalGrant } from '../../workers/gateway/runners/ports.ts';
import { SignedInternalUrls } from '../../workers/gateway/runners/internal-urls.ts';
import { ResultStore } from '../../workers/gateway/results/result-store.ts';
import { call, deblur, problem, problemOf, stored } from './support/gateway.ts';
import { png, streamOf } from './support/pictures.ts';

const KEY = 'ab'.repeat(32);
const origin = 'https://deblur.test';
const urls = new SignedInternalUrls({ origin, secret: env.INTERNAL_SECRET });
const metadata = { model: 'dhnet-edge', modelVersion: 'c'.repeat(64), placement: 'runner', restoration: null } as const;

const read: InternalGrant = { purpose: 'read', kind: 'source', key: KEY };
const write: InternalGrant = { purpose: 'write', kind: 'result', key: KEY, contentType: 'image/webp', metadata };

const pathOf = async (grant: InternalGrant, signer = urls) => new URL(await signer.sign(grant)).pathname;

function put(path: string, body: BodyInit = 'restored', headers: Record<string, string> = {}): Promise<Response> {
  return call(path, {
    method: 'PUT',
    body,
    headers: { 'content-type': 'image/webp', 'content-length': '8', ...headers },
  });
}

async function digestOf(text: string): Promise<string> {
  const sha256 = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
  return `sha-256=:${sha256.toBase64()}:`;
}

describe('an internal URL', () => {
  const tampered = async (change: (payload: string, signature: string) => string) => {
    const [payload = '', signature = ''] = (await pathOf(read)).slice('/internal/sources/'.length).split('.');
    return `/internal/sources/${change(payload, signature)}`;
  };
  const otherPayload = () => btoa(JSON.stringify({ ...read, exp: 9_999_999_999 })).replace(/=+$/, '');
  const shifted = (seconds: number) =>
    new SignedInternalUrls({ origin, secret: env.INTERNAL_SECRET, now: () => Date.now() + seconds * 1000 });

  it.each([
    ['with another payload', () => tampered((_, signature) => `${otherPayload()}.${signature}`)],
    [
      'with another signature',
      () => tampered((payload, signature) => `${payload}.${signature.replace(/^./, (c) => (c === 'A' ? 'B' : 'A'))}`),
    ],
    ['with a shorter signature', () => tampered((payload, signature) => `${payload}.${signature.slice(0, -2)}`)],
    ['without a signature', () => tampered((payload) => `${payload}.`)],
    ['with nothing but a dot and a letter', () => tampered(() => '.a')],
    ['with more behind it', () => tampered((payload, signature) => `${payload}.${signature}.more`)],
    ['that is no token', () => tampered(() => 'x'.repeat(5000))],
    ['that is no base64', () => tampered((payload) => `${payload}.@@@@`)],
    ['by another secret', () => pathOf(read, new SignedInternalUrls({ origin, secret: 'z'.repeat(32) }))],
    ['that has expired', () => pathOf(read, shifted(-INTERNAL_URL_TTL_SECONDS))],
    ['for writing', async () => (await pathOf(write)).replace('/results/', '/sources/')],
  ])('%s opens no source', async (_, path) => {
    expect(await problemOf(await call(await path()))).toEqual(problem(403, 'forbidden'));
  });

  it.each([
    ['for reading', async () => (await pathOf(read)).replace('/sources/', '/results/')],
    ['that has expired', () => pathOf(write, shifted(-INTERNAL_URL_TTL_SECONDS))],
  ])('%s stores nothing', async (_, path) => {
    expect(await problemOf(await put(await path()))).toEqual(problem(403, 'forbidden'));
    expect(await stored('')).toEqual([]);
  });

  it('is good until it expires', async () => {
    // A second before the end; the source itself is not there.
    const path = await pathOf(read, shifted(1 - INTERNAL_URL_TTL_SECONDS));
    expect(await problemOf(await call(path))).toEqual(problem(404, 'not_found'));
  });
});

describe('GET /internal/sources/{token}', () => {
  it('gives exactly the source, and the master', async () => {
    const picture = png();
    await deblur(picture);
    const sourceKey = (await stored('sources/'))[0]?.slice('sources/'.length) ?? '';
    const source = await call(await pathOf({ purpose: 'read', kind: 'source', key: sourceKey }));
    expect(source.headers.get('content-length')).toBe(String(picture.length));
    expect(source.headers.get('cache-control')).toBe('no-store');
    expect(new Uint8Array(await source.arrayBuffer())).toEqual(picture);
    const key = (await stored('masters/'))[0]?.slice('masters/'.length) ?? '';
    const master = await call(await pathOf({ purpose: 'read', kind: 'master', key }));
    expect(await master.text()).toMatch(/^master:/);
  });
});

describe('PUT /internal/results/{token}', () => {
  it('stores under exactly the key of the token, once', async () => {
    const path = await pathOf(write);
    expect((await put(path, 'restored', { 'content-digest': await digestOf('restored') })).status).toBe(204);
    expect((await put(path, 'restored', { 'content-digest': await digestOf('restored') })).status).toBe(204);
    expect((await put(path, 'changed!', { 'content-digest': await digestOf('changed!') })).status).toBe(204);
    expect(await stored('')).toEqual([`results/${KEY}`]);
    const result = await new ResultStore(env.STORE).get('result', KEY);
    expect(result).toMatchObject({ ...metadata, contentType: 'image/webp', size: 8 });
    expect(result?.kind === 'stored' && new TextDecoder().decode(await result.bytes())).toBe('restored');
  });

  it('stores masters beside results', async () => {
    await put(await pathOf({ ...write, kind: 'master' }));
    expect(await stored('')).toEqual([`masters/${KEY}`]);
  });

  it('counts the digest itself when there is none', async () => {
    expect((await put(await pathOf(write))).status).toBe(204);
    const response = await call(`/v1/results/${KEY}`, { method: 'HEAD' });
    expect(response.headers.get('content-digest')).toBe(await digestOf('restored'));
  });

  it.each([
    [
      'other bytes than announced',
      async () => ({ 'content-digest': await digestOf('something else') }),
      400,
      'malformed_request',
    ],
    ['another type', async () => ({ 'content-type': 'text/html' }), 400, 'malformed_request'],
    ['too much', async () => ({ 'content-length': '320000001' }), 413, 'body_too_large'],
    ['much without a digest', async () => ({ 'content-length': '25000001' }), 413, 'body_too_large'],
  ] as const)('refuses %s', async (_, headers, status, code) => {
    const response = await put(await pathOf(write), 'restored', await headers());
    expect(await problemOf(response)).toEqual(problem(status, code));
    expect(await stored('')).toEqual([]);
  });

  it('refuses a body without a length', async () => {
    const body = streamOf(new TextEncoder().encode('restored'));
    const response = await call(await pathOf(write), {
      method: 'PUT',
      body,
      headers: { 'content-type': 'image/webp' },
    });
    expect(await problemOf(response)).toEqual(problem(400, 'malformed_request'));
  });
});

import { env } from 'cloudflare:workers';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { call, edge, problem, problemOf, stored, until } from '../support/gateway.ts';
import { png } from '../support/pictures.ts';
import { sign, signText } from '../support/sign.ts';
import { host, picture } from '../support/sources.ts';

let pictures = 0;

/** Another address with another picture each time. */
async function published(headers: Record<string, string> = {}, bytes = png()): Promise<string> {
  const path = `/picture-${++pictures}.png`;
  await host.serve({ [path]: picture(bytes, headers) });
  return host.url(path);
}

afterEach(() => vi.restoreAllMocks());

describe('the signature', () => {
  it.each([0, 1])('of key %i opens the picture', async (pair) => {
    expect((await call(await sign(await published(), '_', pair))).status).toBe(200);
  });

  it('is refused when any character of the path is another one', async () => {
    const path = await sign('https://cdn.deblur.dev/p.png', 'format:webp');
    const accepted: string[] = [];
    for (let at = '/i/'.length; at < path.length; at++) {
      const forged = `${path.slice(0, at)}${path[at] === 'A' ? 'B' : 'A'}${path.slice(at + 1)}`;
      if ((await call(forged)).status !== 403) accepted.push(forged);
    }
    expect(accepted).toEqual([]);
  });

  it('has one spelling: no other last character, padding, case or escape', async () => {
    const path = await sign('https://cdn.deblur.dev/p.png', 'format:webp');
    const [, , signature = '', options = '', source = ''] = path.split('/');
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const last = alphabet.indexOf(signature.at(-1)!);
    const hostile = [
      // The last of 43 characters has two bits too many: three more texts decode to the same bytes.
      ...[1, 2, 3].map((bits) => `/i/${signature.slice(0, -1)}${alphabet[last ^ bits]}/${options}/${source}`),
      `/i/${signature}=/${options}/${source}`,
      `/i/${signature.slice(0, -1)}/${options}/${source}`,
      `/i/${signature.slice(0, 22)}/${options}/${source}`,
      `/i//${options}/${source}`,
      `/i/${signature}/${options}/${source}/`,
      `/i/${signature}//${options}/${source}`,
      `/i/${signature}/${options.replace(':', '%3A')}/${source}`,
      `/i/${signature}/${options}/${source}=`,
      `/i/${signature}/x/../${options}/${source}x`,
      `/i/%20${signature}/${options}/${source}`,
      `/i/insecure/${options}/${source}`,
      `/i/unsafe/_/${source}`,
      '/i/',
      `/i/${'A'.repeat(10_000)}`,
    ];
    for (const one of hostile)
      expect([one, await problemOf(await call(one))]).toEqual([one, problem(403, 'forbidden')]);
  });

  it('of another key is refused before anything is parsed', async () => {
    const path = await signText('/nonsense:1/!!!');
    const forged = path.replace(/^\/i\/[^/]+/, `/i/${'A'.repeat(43)}`);
    expect(await problemOf(await call(forged))).toEqual(problem(403, 'forbidden'));
    expect(await problemOf(await call(path))).toEqual(problem(422, 'unknown_option'));
  });

  it.each(['POST', 'PUT', 'DELETE'])('does not open %s', async (method) => {
    const response = await call(await sign('https://cdn.deblur.dev/p.png'), { method });
    expect(await problemOf(response)).toEqual(problem(405, 'method_not_allowed'));
  });
});

describe('what an image link may ask', () => {
  const url = 'https://cdn.deblur.dev/p.png';
  const past = Math.floor(Date.now() / 1000) - 1;

  it.each([
    ['width:100', 422, 'unknown_option'],
    ['tile:256', 422, 'unknown_option'],
    ['__proto__:1', 422, 'unknown_option'],
    ['format', 422, 'invalid_option'],
    ['format:gif', 422, 'invalid_option'],
    ['format:webp,format:webp', 422, 'invalid_option'],
    ['quality:0', 422, 'invalid_option'],
    ['quality:', 422, 'invalid_option'],
    ['exp:-1', 422, 'invalid_option'],
    ['exp:1e3', 422, 'invalid_option'],
    [`exp:${past}`, 410, 'gone'],
    ['exp:0', 410, 'gone'],
    ['model:dhnet', 422, 'model_unavailable'],
    ['_,format:webp', 422, 'unknown_option'],
    ['format:webp,', 422, 'unknown_option'],
  ])('options %s → %i %s', async (options, status, code) => {
    const address = code === 'model_unavailable' ? await published() : url;
    expect(await problemOf(await call(await sign(address, options)))).toEqual(problem(status, code));
  });

  it.each([
    ['another host', 'https://evil.deblur.dev/p.png', 403, 'forbidden'],
    ['a sub-domain of a host', 'https://a.cdn.deblur.dev/p.png', 403, 'forbidden'],
    ['the domain of sub-domains', 'https://shop.deblur.dev/p.png', 403, 'forbidden'],
    ['a host that ends alike', 'https://evilshop.deblur.dev/p.png', 403, 'forbidden'],
    ['http', 'http://cdn.deblur.dev/p.png', 403, 'forbidden'],
    ['another port', 'https://cdn.deblur.dev:8443/p.png', 403, 'forbidden'],
    ['a user name', 'https://me@cdn.deblur.dev/p.png', 403, 'forbidden'],
    ['loopback', 'http://127.0.0.1:1/p.png', 403, 'forbidden'],
    ['a file', 'file:///etc/passwd', 403, 'forbidden'],
    ['data', 'data:image/png;base64,AAAA', 403, 'forbidden'],
    ['no URL', 'cdn.deblur.dev/p.png', 400, 'malformed_request'],
    ['nothing like it', '\u0000', 400, 'malformed_request'],
    ['a very long URL', `https://cdn.deblur.dev/${'p'.repeat(4096)}`, 400, 'malformed_request'],
  ])('source: %s', async (_, source, status, code) => {
    expect(await problemOf(await call(await sign(source)))).toEqual(problem(status, code));
  });

  it('is not said in the query, which is not signed and may hold what others add to addresses', async () => {
    const path = await sign(await published());
    const plain = await call(path);
    const [type] = [plain.headers.get('content-type'), await plain.arrayBuffer()];
    for (const query of ['v=2', 'utm_source=mail', 'format=webp']) {
      const response = await call(`${path}?${query}`);
      expect([response.status, response.headers.get('content-type')]).toEqual([200, type]);
      await response.arrayBuffer();
    }
    expect(await problemOf(await call(`${path}?pending=200`))).toEqual(problem(422, 'invalid_option'));
  });

  it('is a source of base64url of UTF-8', async () => {
    for (const source of ['!!!!', 'AAAAA', '_w']) {
      expect(await problemOf(await call(await signText(`/_/${source}`)))).toEqual(problem(400, 'malformed_request'));
    }
  });
});

describe('the restored picture', () => {
  it('is served like the result that it is', async () => {
    const path = await sign(await published(), 'format:webp,quality:70');
    const response = await call(path);
    const location = response.headers.get('content-location') ?? '';
    expect(location).toMatch(/^\/v1\/results\/[0-9a-f]{64}$/);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'image/webp',
      'cache-control': expect.stringMatching(/^public, max-age=\d+, immutable$/),
      etag: `"${location.slice('/v1/results/'.length)}"`,
      vary: 'Accept',
      'content-security-policy': "default-src 'none'; sandbox",
    });
    // In bytes: the stand-in's result ends in some that are not UTF-8.
    const bytes = new Uint8Array(await response.arrayBuffer());
    const text = new TextDecoder().decode(bytes);
    expect(text).toMatch(/^\{"format":"webp","quality":70,"metadata":"keep"\}\|/);
    expect(await (await call(location)).text()).toBe(text);

    const headers = { 'if-none-match': response.headers.get('etag') ?? '' };
    expect((await call(path, { headers })).status).toBe(304);
    const head = await call(path, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, String(bytes.length)]);
    const part = await call(path, { headers: { range: 'bytes=0-7' } });
    expect([part.status, await part.text()]).toEqual([206, '{"format']);
    expect((await edge.calls()).restore).toBe(1);
  });

  it('is fetched once and restored once, whatever else is asked of it', async () => {
    const url = await published();
    for (const options of ['_', '_', 'format:jpeg', 'quality:50,format:webp']) {
      expect((await call(await sign(url, options))).status).toBe(200);
    }
    expect((await host.requests()).length).toBe(1);
    expect(await edge.calls()).toEqual({ restore: 1, encode: 2 });
  });

  it('comes in the format that the client takes', async () => {
    const path = await sign(await published());
    expect((await call(path, { headers: { accept: 'image/webp' } })).headers.get('content-type')).toBe('image/webp');
    expect((await call(path)).headers.get('content-type')).toBe('image/png');
    expect(await problemOf(await call(path, { headers: { accept: 'text/html' } }))).toEqual(
      problem(406, 'not_acceptable'),
    );
  });

  it('is cached no longer than its URL lives', async () => {
    const path = await sign(await published(), `exp:${Math.floor(Date.now() / 1000) + 100}`);
    for (let times = 0; times < 2; times++) {
      const response = await call(path);
      await response.text();
      expect(Number(/max-age=(\d+)/.exec(response.headers.get('cache-control') ?? '')?.[1])).toBeLessThanOrEqual(100);
    }
  });

  it('follows its source when that has changed, and asks only then', async () => {
    const url = await published({ etag: '"v1"' });
    const path = await sign(url);
    const first = await (await call(path)).text();
    const later = Date.now() + 2 * 3600 * 1000;
    vi.spyOn(Date, 'now').mockImplementation(() => later);
    expect(await (await call(path)).text()).toBe(first);
    expect((await host.requests()).map(({ headers }) => headers['if-none-match'])).toEqual([undefined, '"v1"']);
    await host.serve({ [new URL(url).pathname]: picture(png(), { etag: '"v2"' }) });
    expect(await (await call(path)).text()).toBe(first);
    expect(await host.requests()).toEqual([]);
    vi.spyOn(Date, 'now').mockImplementation(() => later + 2 * 3600 * 1000);
    expect(await (await call(path)).text()).not.toBe(first);
  });

  it('is made anew when result and source have gone, from what the address leads to then', async () => {
    const url = await published();
    const path = await sign(url);
    const first = await call(path);
    await first.text();
    await until(
      async () =>
        (await caches.default.match(`https://deblur.test${first.headers.get('content-location')}`)) !== undefined,
    );
    await caches.default.delete(`https://deblur.test${first.headers.get('content-location')}`);
    await env.STORE.delete([
      ...(await stored('results/')),
      ...(await stored('masters/')),
      ...(await stored('sources/')),
    ]);
    await host.serve({ [new URL(url).pathname]: picture(png()) });
    const second = await call(path);
    expect(second.status).toBe(200);
    expect(second.headers.get('etag')).not.toBe(first.headers.get('etag'));
    expect((await host.requests()).length).toBe(1);
  });
});

describe('while it is being computed', () => {
  it('is the source for now, and then the result', async () => {
    const url = await published();
    const path = await sign(url);
    await edge.hold();
    const [now, asked] = await Promise.all([
      call(path, { headers: { prefer: 'wait=1' }, redirect: 'manual' }),
      call(`${path}?pending=202`, { headers: { prefer: 'wait=1' } }),
    ]);
    expect([now.status, now.headers.get('location')]).toEqual([302, url]);
    // Else a browser shows no picture in the <img> of another site.
    expect(now.headers.get('cross-origin-resource-policy')).toBe('cross-origin');
    expect([asked.status, (await asked.json<Record<string, string>>()).status]).toEqual([202, 'processing']);
    for (const { headers } of [now, asked]) {
      expect([headers.get('cache-control'), headers.get('retry-after')]).toEqual(['no-store', '5']);
    }
    await edge.release();
    await until(async () => (await stored('results/')).length === 1);
    expect((await call(path)).status).toBe(200);
    expect((await edge.calls()).restore).toBe(1);
  });
});

/** `POST /v1/deblur` with a picture that is named in JSON: its host's failures are told apart, and none is ours. */
import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import type { Prediction } from '@deblur/shared/protocol/prediction.ts';
import { env } from 'cloudflare:workers';
import { describe, expect, inject, it } from 'vitest';
import { createApp } from '../../workers/gateway/app.ts';
import { createPorts } from '../../workers/gateway/deps.ts';
import type { Ports } from '../../workers/gateway/http/ports.ts';
import { openNamed } from '../../workers/gateway/restorations/named-source.ts';
import { SourceFetcher } from '../../workers/gateway/sources/source-fetcher.ts';
import { newAddress } from './access/support.ts';
import { call, deblur, edge, gpu, madeHow, problem, problemOf, resultPathOf, stored } from './support/gateway.ts';
import { animatedGif, png } from './support/pictures.ts';
import { ending } from './support/predictions.ts';
import { host, hostedAt, picture, redirect, SOURCE_ORIGIN } from './support/sources.ts';
import type { SourceAnswer } from './support/source-host.ts';

const JSON_TYPE = { 'content-type': 'application/json' };

const named = (image: string, rest: Record<string, unknown> = {}, query = '', headers: Record<string, string> = {}) =>
  deblur(JSON.stringify({ image, ...rest }), query, { ...JSON_TYPE, ...headers });

/** A gateway that is not quite the one that is configured. */
async function namedAt(ports: Partial<Ports>, image: string, headers: Record<string, string> = {}): Promise<Response> {
  const context = createExecutionContext();
  const request = new Request('https://deblur.test/v1/deblur', {
    method: 'POST',
    headers: { ...JSON_TYPE, ...headers },
    body: JSON.stringify({ image }),
  });
  const response = await createApp({ ...createPorts(env), ...ports }).fetch(request, env, context);
  await waitOnExecutionContext(context);
  return response;
}

describe('a picture at an address', () => {
  it('is what it would be as an upload', async () => {
    const bytes = png();
    const url = await hostedAt(picture(bytes, { 'content-type': 'text/html' }));
    const first = await named(url, { quality: 70 }, '?format=webp');
    const result = await first.clone().arrayBuffer();
    expect(await madeHow(first)).toBe('200 miss edge image/webp');
    const uploaded = await deblur(bytes, '?format=webp&quality=70');
    expect(resultPathOf(uploaded)).toBe(resultPathOf(first));
    expect(await uploaded.clone().arrayBuffer()).toEqual(result);
    expect(await madeHow(uploaded)).toBe('200 hit edge image/webp');
    expect(await madeHow(await named(url, { format: 'webp', quality: 70 }))).toBe('200 hit edge image/webp');
    expect(await edge.calls()).toEqual({ restore: 1, encode: 0 });
    expect(await host.requestsFor(url)).toBe(2);
  });

  it('may be above what is held in memory, and then streams to the runner', async () => {
    const bytes = png({ width: 2000, height: 2000, bytes: 5_000_000 });
    const url = await hostedAt(picture(bytes));
    expect(await madeHow(await named(url))).toBe('200 miss runner image/png');
    expect((await gpu.requests())[0]?.source?.bytes).toBe(bytes.length);
    expect(await madeHow(await named(url))).toBe('200 hit runner image/png');
    expect(await stored('uploads/')).toHaveLength(1);
  });

  it('may be five redirects away', async () => {
    let url = await hostedAt(picture(png()));
    for (const status of [301, 302, 303, 307, 308]) url = await hostedAt(redirect(url, status));
    expect(await madeHow(await named(url))).toBe('200 miss edge image/png');
  });

  it('is a prediction when the wait expires, and says where it came from', async () => {
    const url = await hostedAt(picture(png()));
    await edge.hold();
    const late = await named(url, {}, '', { prefer: 'wait=1' });
    expect(late.status).toBe(202);
    const prediction = await late.json<Prediction>();
    expect(prediction).toMatchObject({ status: 'starting', input: { image: url, format: 'png' } });
    await edge.release();
    expect((await ending(prediction.id)).status).toBe('succeeded');
  });

  it('is not fetched for a model that cannot be had', async () => {
    const url = await hostedAt(picture(png()));
    expect(await problemOf(await named(url, { model: 'dhnet' }))).toEqual(problem(422, 'model_unavailable'));
    expect(await problemOf(await named(url, { sharpness: 9 }))).toEqual(problem(422, 'unknown_option'));
    expect(await host.requestsFor(url)).toBe(0);
  });
});

describe('a picture of ours', () => {
  it('is a file, by id or by address', async () => {
    const bytes = png();
    const form = new FormData();
    form.set('content', new Blob([bytes]), 'a.png');
    const file = await (await call('/v1/files', { method: 'POST', body: form })).json<{ id: string }>();
    expect(await madeHow(await named(file.id))).toBe('200 miss edge image/png');
    expect(await madeHow(await named(`https://deblur.test/v1/files/${file.id}`))).toBe('200 hit edge image/png');
    expect(await madeHow(await deblur(bytes))).toBe('200 hit edge image/png');
  });

  it('may have no more bytes than an upload', async () => {
    const form = new FormData();
    form.set('content', new Blob([png({ bytes: 5_000 })]), 'a.png');
    const file = await (await call('/v1/files', { method: 'POST', body: form })).json<{ id: string }>();
    const opened = openNamed(createPorts(env), { tenantId: 'local', origin: 'https://deblur.test' }, file.id, 4_999);
    await expect(opened).rejects.toMatchObject({ code: 'body_too_large' });
  });

  it('is otherwise not called', async () => {
    const own = `http://127.0.0.1:${inject('gatewayPort')}`;
    for (const url of ['https://deblur.test/healthz', 'https://deblur.test/i/x/_/y', `${own}/v1/models`]) {
      expect([url, await problemOf(await named(url))]).toEqual([url, problem(403, 'forbidden')]);
    }
    // Nor by way of somebody else, even where addresses of this machine may be called.
    const variables = { ALLOW_ORIGINS: `${SOURCE_ORIGIN},${own}` };
    const ports = createPorts({ ...env, ...variables });
    const response = await namedAt(ports, await hostedAt(redirect(`${own}/v1/models`)));
    expect(await problemOf(response)).toEqual(problem(403, 'forbidden'));
  });
});

describe('an address that is not called', () => {
  it.each([
    ['http', 'http://example.com/a.png', 403, 'forbidden'],
    ['a file', 'file:///etc/passwd', 403, 'forbidden'],
    ['a private address', 'https://10.0.0.1/a.png', 403, 'forbidden'],
    ['loopback', 'https://127.0.0.1/a.png', 403, 'forbidden'],
    ['loopback as a number', 'https://2130706433/a.png', 403, 'forbidden'],
    ['loopback in hexadecimal', 'https://0x7f.1/a.png', 403, 'forbidden'],
    ['loopback in octal', 'https://0177.0.0.1/a.png', 403, 'forbidden'],
    ['another port of this machine', 'http://127.0.0.1:1/a.png', 403, 'forbidden'],
    ['a public address', 'https://8.8.8.8/a.png', 403, 'forbidden'],
    ['IPv6', 'https://[::1]/a.png', 403, 'forbidden'],
    ['IPv4 in IPv6', 'https://[::ffff:10.0.0.1]/a.png', 403, 'forbidden'],
    ['IPv4 in IPv6 by groups', 'https://[::ffff:a00:1]/a.png', 403, 'forbidden'],
    ['IPv4 behind NAT64', 'https://[64:ff9b::10.0.0.1]/a.png', 403, 'forbidden'],
    ['the metadata service', 'https://169.254.169.254/latest', 403, 'forbidden'],
    ['the metadata service by name', 'https://metadata.google.internal/', 403, 'forbidden'],
    ['localhost', 'https://localhost/a.png', 403, 'forbidden'],
    ['localhost as a domain', 'https://a.localhost./a.png', 403, 'forbidden'],
    ['a name without dots', 'https://intranet/a.png', 403, 'forbidden'],
    ['a name of a home network', 'https://printer.local/a.png', 403, 'forbidden'],
    ['a password', 'https://user:pass@example.com/a.png', 403, 'forbidden'],
    ['no address', 'a picture of a cat', 422, 'invalid_option'],
    ['nothing', '', 422, 'invalid_option'],
    ['a file that is not there', 'abcdefgh', 422, 'invalid_option'],
    ['a very long address', `https://example.com/${'a'.repeat(5000)}`, 422, 'invalid_option'],
  ])('%s', async (_, image, status, code) => {
    expect(await problemOf(await named(image))).toEqual(problem(status, code));
    expect(await stored('')).toEqual([]);
  });

  it.each(['http://example.com/', 'https://10.0.0.1/', 'https://[::ffff:7f00:1]/', 'https://intranet/', '//[::1]/'])(
    'nor when another one redirects to it: %s',
    async (location) => {
      const url = await hostedAt(redirect(location));
      expect(await problemOf(await named(url))).toEqual(problem(403, 'forbidden'));
    },
  );
});

describe('a host that fails', () => {
  const tooLong = { 'content-length': '25000001' };

  it.each<[string, SourceAnswer, number, string, string | null]>([
    ['has no such picture', { status: 404 }, 422, 'source_not_found', null],
    ['does not give it', { status: 403 }, 422, 'source_not_found', null],
    ['has nothing to say', { status: 204 }, 422, 'source_not_found', null],
    ['says not modified unasked', { status: 304 }, 502, 'source_fetch_failed', '5'],
    ['gives a part', { ...picture(png()), status: 206 }, 422, 'source_not_found', null],
    ['is broken', { status: 500 }, 502, 'source_fetch_failed', '5'],
    ['is busy', { status: 429 }, 502, 'source_fetch_failed', '5'],
    [
      'is busy and says how long',
      { status: 503, headers: { 'retry-after': '120' } },
      502,
      'source_fetch_failed',
      '120',
    ],
    ['is not reached', { fault: 'refuse' }, 502, 'source_fetch_failed', '5'],
    [
      'breaks off',
      { ...picture(png(), { 'content-length': '9999' }), fault: 'break' },
      502,
      'source_fetch_failed',
      '5',
    ],
    ['redirects nowhere', { status: 302 }, 422, 'source_not_found', null],
    ['redirects to nonsense', redirect('https://['), 422, 'source_not_found', null],
    ['announces too much', { ...picture(png(), tooLong), fault: 'stall' }, 413, 'body_too_large', null],
    ['sends nothing', {}, 400, 'empty_body', null],
    ['sends a page', { body: btoa('<html>hello</html>') }, 415, 'unsupported_media_type', null],
    ['sends half a header', picture(png().slice(0, 20)), 422, 'image_truncated', null],
    ['sends a bomb', picture(png({ width: 30_000, height: 30_000 })), 422, 'image_too_many_pixels', null],
    ['sends an animation', picture(animatedGif()), 422, 'image_animated', null],
  ])('because it %s', async (_, answer, status, code, retryAfter) => {
    const response = await named(await hostedAt(answer));
    expect(response.headers.get('retry-after')).toBe(retryAfter);
    expect(await problemOf(response)).toEqual(problem(status, code));
    expect(await edge.calls()).toEqual({ restore: 0, encode: 0 });
    expect(await stored('')).toEqual([]);
  });

  it('by sending more than it has announced is cut off', async () => {
    const ports = { sourceFetcher: new SourceFetcher({ allowOrigins: [SOURCE_ORIGIN], maxBytes: 1_000 }) };
    const response = await namedAt(ports, await hostedAt({ ...picture(png({ bytes: 5_000 })), fault: 'stall' }));
    expect(await problemOf(response)).toEqual(problem(413, 'body_too_large'));
  });

  it('for a moment is asked once more', async () => {
    const url = await hostedAt({ status: 503 }, picture(png()));
    expect(await madeHow(await named(url))).toBe('200 miss edge image/png');
  });

  it('by redirecting for ever is not followed for ever', async () => {
    await host.serve({ '/a': redirect('/b'), '/b': redirect('/a') });
    expect(await problemOf(await named(host.url('/a')))).toEqual(problem(422, 'source_not_found'));
    expect(await host.requests()).toHaveLength(6);
  });

  it.each(['hang', 'stall'] as const)('by being slow is given up: %s', async (fault) => {
    const bounds = { allowOrigins: [SOURCE_ORIGIN], maxBytes: 1_000_000, timeoutMs: 300 };
    const ports = { sourceFetcher: new SourceFetcher(bounds) };
    const response = await namedAt(ports, await hostedAt({ ...picture(png()), fault }));
    expect(response.headers.get('retry-after')).toBe('5');
    expect(await problemOf(response)).toEqual(problem(502, 'source_fetch_failed'));
  });
});

describe('what a fetch costs', () => {
  const anonymous = { accessMode: 'keys_and_anonymous' } as const;
  const left = (response: Response) =>
    Number(/^"megapixels";r=(\d+);/.exec(response.headers.get('ratelimit') ?? '')?.[1]);

  it('is paid before it, and counts towards the restoration', async () => {
    const client = { 'cf-connecting-ip': newAddress() };
    const url = await hostedAt(picture(png({ width: 3000, height: 3000 })));
    const first = await namedAt(anonymous, url, client);
    expect([first.status, left(first)]).toEqual([200, 51]);
    const hit = await namedAt(anonymous, url, client);
    expect([hit.headers.get('x-placement'), left(hit)]).toEqual(['runner', 50]);
    const missing = await namedAt(anonymous, await hostedAt({ status: 404 }), client);
    expect([missing.status, left(missing)]).toEqual([422, 49]);
  });

  it('is not begun by who cannot pay', async () => {
    const poor = { allowed: false, remaining: 0.5, resetSeconds: 3600, retryAfterSeconds: 30, limit: 'this address' };
    const rateLimits = { ...createPorts(env).rateLimits, admit: async () => true, charge: async () => poor };
    const url = await hostedAt(picture(png()));
    const response = await namedAt({ ...anonymous, rateLimits }, url);
    expect(response.headers.get('retry-after')).toBe('30');
    expect(await problemOf(response)).toEqual(problem(429, 'rate_limited'));
    expect(await host.requestsFor(url)).toBe(0);
  });
});

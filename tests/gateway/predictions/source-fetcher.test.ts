/** Sources by address: what a host may answer, and where it may lead. */
import { env } from 'cloudflare:workers';
import { inject } from 'vitest';
import { describe, expect, it } from 'vitest';
import { inspectImage } from '../../../workers/gateway/predict/inspect.ts';
import { GuardedSourceFetcher } from '../../../workers/gateway/predictions/source-fetcher.ts';
import { R2SourceStore } from '../../../workers/gateway/store/source-store.ts';
import { stored } from '../support/gateway.ts';
import { host, picture, requestsFor } from '../support/predictions.ts';
import { animatedGif, concat, png } from '../support/pictures.ts';
import type { SourceAnswer } from '../support/source-host.ts';

const sources = new R2SourceStore(env.STORE, inspectImage);
const fetcher = (timeoutMs = 5_000) =>
  new GuardedSourceFetcher(sources, { allowOrigins: [inject('sourceOrigin')] }, timeoutMs);
const redirect = (location: string, status = 302): SourceAnswer => ({ status, headers: { location } });

describe('a source', () => {
  it('is taken, whatever its host calls it', async () => {
    const bytes = png({ width: 30, height: 20 });
    const source = await fetcher().fetch(await host(picture(bytes, { 'content-type': 'text/html' })));
    expect(source).toMatchObject({ bytes: bytes.length, header: { format: 'png', width: 30, height: 20 } });
  });

  it('is found over three redirects, also relative ones', async () => {
    let url = await host(picture(png()));
    url = await host(redirect(new URL(url).pathname, 308));
    url = await host(redirect(url, 307));
    url = await host(redirect(url, 301));
    expect((await fetcher().fetch(url)).header.format).toBe('png');
    const once_more = await host(redirect(url));
    await expect(fetcher().fetch(once_more)).rejects.toThrow('source_fetch_failed: It redirects too often.');
  });

  it.each([
    'http://example.com/a.png',
    'https://127.0.0.1/',
    'https://[::ffff:10.0.0.1]/',
    'https://metadata.google.internal/',
    'https://user@example.com/',
    'http://127.0.0.1:1/',
    '//169.254.169.254/latest',
  ])('is not followed to %s', async (location) => {
    const url = await host(redirect(location));
    await expect(fetcher().fetch(url)).rejects.toEqual(expect.objectContaining({ code: 'forbidden' }));
    await expect(fetcher().fetch(new URL(location, 'http://x').href)).rejects.toEqual(
      expect.objectContaining({ code: 'forbidden' }),
    );
  });

  it.each<[string, SourceAnswer, string, boolean]>([
    ['404', { status: 404 }, 'source_fetch_failed', false],
    ['403', { status: 403 }, 'source_fetch_failed', false],
    ['500', { status: 500 }, 'source_fetch_failed', true],
    ['503', { status: 503 }, 'source_fetch_failed', true],
    ['429', { status: 429 }, 'source_fetch_failed', true],
    ['a redirect to nowhere', { status: 302 }, 'source_fetch_failed', false],
    ['a redirect to nonsense', redirect('https://['), 'source_fetch_failed', false],
    [
      'a page',
      { status: 200, body: btoa('<html>hello there, this is a page</html>') },
      'unsupported_media_type',
      false,
    ],
    ['nothing', { status: 200 }, 'empty_body', false],
    ['an animation', picture(animatedGif()), 'image_animated', false],
    ['half a picture', picture(png().slice(0, 20)), 'image_truncated', false],
    ['a bomb', picture(png({ width: 65_000, height: 65_000 })), 'image_too_many_pixels', false],
    [
      'a connection that breaks',
      { ...picture(png(), { 'content-length': '9999' }), fault: 'break' },
      'source_fetch_failed',
      true,
    ],
    [
      'a length beyond the limit',
      { ...picture(png(), { 'content-length': '100000001' }), fault: 'stall' },
      'body_too_large',
      false,
    ],
  ])('that is %s is refused', async (_, answer, code, temporary) => {
    const url = await host(answer);
    const failure = await fetcher()
      .fetch(url)
      .then(
        () => null,
        (error: unknown) => error,
      );
    expect(failure).toMatchObject({ code });
    expect((failure as { retryAfterSeconds?: number }).retryAfterSeconds !== undefined).toBe(temporary);
    expect(await requestsFor(url)).toBe(1);
    expect(await stored('')).toEqual([]);
  });

  it.each(['hang', 'stall'] as const)('that comes too slowly is given up: %s', async (fault) => {
    const url = await host({ ...picture(png()), fault });
    await expect(fetcher(300).fetch(url)).rejects.toThrow('source_fetch_failed: It did not arrive within 0.3 s.');
  });

  it('that nobody serves can be asked for again', async () => {
    const dead = new GuardedSourceFetcher(sources, { allowOrigins: ['http://127.0.0.1:1'] });
    await expect(dead.fetch('http://127.0.0.1:1/a.png')).rejects.toMatchObject({
      code: 'source_fetch_failed',
      retryAfterSeconds: 5,
    });
  });

  it('leaves nothing behind when it breaks off behind its first megabytes', async () => {
    const bytes = concat(png(), new Uint8Array(6_000_000));
    const url = await host({ ...picture(bytes, { 'content-length': '9000000' }), fault: 'break' });
    await expect(fetcher().fetch(url)).rejects.toMatchObject({ code: 'source_fetch_failed' });
    expect(await stored('')).toEqual([]);
  });
});

/** Sources by address: what a host may answer, and where it may lead. */
import { PictureKeys } from '@deblur/shared/protocol/result-key.ts';
import { env } from 'cloudflare:workers';
import { isTemporary } from '@deblur/shared/protocol/errors.ts';
import { describe, expect, it } from 'vitest';
import type { ReceivedSource } from '../../workers/gateway/sources/source-store.ts';
import { SourceFetcher, type SourceFetcherOptions } from '../../workers/gateway/sources/source-fetcher.ts';
import { SourceStore } from '../../workers/gateway/sources/source-store.ts';
import { stored } from './support/gateway.ts';
import { animatedGif, concat, png } from './support/pictures.ts';
import { host, hostedAt, picture, redirect, SOURCE_ORIGIN } from './support/sources.ts';
import type { SourceAnswer } from './support/source-host.ts';

const sources = new SourceStore(env.STORE, new PictureKeys('k'.repeat(32)));
const unending = new AbortController().signal;

const fetcher = (options: Partial<SourceFetcherOptions> = {}): SourceFetcher =>
  new SourceFetcher({ allowOrigins: [SOURCE_ORIGIN], maxBytes: 100_000_000, timeoutMs: 5_000, ...options });

/** Fetched and taken in, by one try unless it is said otherwise. */
async function received(url: string, options: Partial<SourceFetcherOptions> = {}): Promise<ReceivedSource> {
  return sources.receive(await fetcher({ attempts: 1, ...options }).fetch(url, unending));
}

describe('a source', () => {
  it('is taken, whatever its host calls it', async () => {
    const bytes = png({ width: 30, height: 20 });
    const source = await received(await hostedAt(picture(bytes, { 'content-type': 'text/html' })));
    expect(source).toMatchObject({ bytes: bytes.length, header: { format: 'png', width: 30, height: 20 } });
  });

  it('is found over five redirects, also relative ones', async () => {
    let url = await hostedAt(picture(png()));
    url = await hostedAt(redirect(new URL(url).pathname, 308));
    url = await hostedAt(redirect(url, 307));
    url = await hostedAt(redirect(url, 301));
    url = await hostedAt(redirect(url, 302));
    url = await hostedAt(redirect(url, 303));
    expect((await received(url)).header.format).toBe('png');
    const once_more = await hostedAt(redirect(url));
    await expect(received(once_more)).rejects.toThrow('source_not_found: The source redirects more than 5 times.');
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
    const url = await hostedAt(redirect(location));
    await expect(received(url)).rejects.toEqual(expect.objectContaining({ code: 'forbidden' }));
    await expect(received(new URL(location, 'http://x').href)).rejects.toEqual(
      expect.objectContaining({ code: 'forbidden' }),
    );
  });

  it.each<[string, SourceAnswer, string, boolean]>([
    ['404', { status: 404 }, 'source_not_found', false],
    ['403', { status: 403 }, 'source_not_found', false],
    ['500', { status: 500 }, 'source_fetch_failed', true],
    ['503', { status: 503 }, 'source_fetch_failed', true],
    ['429', { status: 429 }, 'source_fetch_failed', true],
    ['a redirect to nowhere', { status: 302 }, 'source_not_found', false],
    ['a redirect to nonsense', redirect('https://['), 'source_not_found', false],
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
    const url = await hostedAt(answer);
    const failure: unknown = await received(url).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code });
    expect(isTemporary(failure)).toBe(temporary);
    expect(await host.requestsFor(url)).toBe(1);
    expect(await stored('')).toEqual([]);
  });

  it.each(['hang', 'stall'] as const)('that comes too slowly is given up: %s', async (fault) => {
    const url = await hostedAt({ ...picture(png()), fault });
    await expect(received(url, { timeoutMs: 300 })).rejects.toThrow(
      'source_fetch_failed: The source did not arrive within 0.3 seconds.',
    );
  });

  it('that nobody serves can be asked for again', async () => {
    await expect(received('http://127.0.0.1:1/a.png', { allowOrigins: ['http://127.0.0.1:1'] })).rejects.toMatchObject({
      code: 'source_fetch_failed',
      retryAfterSeconds: 5,
    });
  });

  it('leaves nothing behind when it breaks off behind its first megabytes', async () => {
    const bytes = concat(png(), new Uint8Array(6_000_000));
    const url = await hostedAt({ ...picture(bytes, { 'content-length': '9000000' }), fault: 'break' });
    await expect(received(url)).rejects.toMatchObject({ code: 'source_fetch_failed' });
    expect(await stored('')).toEqual([]);
  });
});

describe('the bytes of a source', () => {
  it('are bounded as they come when their length was not announced', async () => {
    const url = await hostedAt({ ...picture(concat(png(), new Uint8Array(2_000))), fault: 'stall' });
    await expect(received(url, { maxBytes: 1_000 })).rejects.toMatchObject({ code: 'body_too_large' });
  });

  it('end with whoever asked for them', async () => {
    const caller = new AbortController();
    const url = await hostedAt({ ...picture(png()), fault: 'stall' });
    const source = fetcher()
      .fetch(url, caller.signal)
      .then((fetched) => sources.receive(fetched));
    setTimeout(() => caller.abort(), 50);
    await expect(source).rejects.toMatchObject({ code: 'source_fetch_failed' });
  });

  it('are asked for by name, and uncompressed', async () => {
    const url = await hostedAt(picture(png()));
    await received(url);
    const request = (await host.requests()).find(({ path }) => url.endsWith(path));
    expect(request).toMatchObject({
      method: 'GET',
      headers: {
        'user-agent': 'deblur-gateway',
        'accept-encoding': 'identity',
        accept: expect.stringMatching(/^image/),
      },
    });
  });
});

describe('a host that stumbles', () => {
  it.each<[string, SourceAnswer]>([
    ['with 503', { status: 503 }],
    ['with 429', { status: 429 }],
    ['and refuses to talk', { fault: 'refuse' }],
  ])('%s is asked a second time', async (_, answer) => {
    const url = await hostedAt(answer, picture(png()));
    expect((await received(url, { attempts: 2 })).header.format).toBe('png');
    expect(await host.requestsFor(url)).toBe(2);
  });

  it.each<[string, SourceAnswer, number, string]>([
    ['twice is not asked a third time', { status: 503 }, 2, 'source_fetch_failed'],
    ['for good is not asked again', { status: 404 }, 1, 'source_not_found'],
    ['at the end of a redirect is asked there', redirect('/nobody'), 1, 'source_not_found'],
  ])('%s', async (_, answer, times, code) => {
    const url = await hostedAt(answer);
    await expect(received(url, { attempts: 2 })).rejects.toMatchObject({ code });
    expect(await host.requestsFor(url)).toBe(times);
  });
});

describe('whoever may be called', () => {
  it('is asked about each redirect too', async () => {
    const asked: string[] = [];
    const target = await hostedAt(picture(png()));
    const url = await hostedAt(redirect(target));
    const isAllowed = ({ href }: URL): boolean => asked.push(href) === 1;
    await expect(received(url, { isAllowed })).rejects.toMatchObject({ code: 'forbidden' });
    expect(asked).toEqual([url, target]);
    expect(await host.requestsFor(target)).toBe(0);
  });
});

describe('a source that is known', () => {
  it('comes again only when it changed', async () => {
    const url = await hostedAt(picture(png(), { etag: '"1"' }));
    expect((await fetcher().fetch(url, unending)).etag).toBe('"1"');
    expect(await fetcher().fetchChanged(url, '"1"', unending)).toBeNull();
    expect((await fetcher().fetchChanged(url, '"0"', unending))?.etag).toBe('"1"');
  });
});

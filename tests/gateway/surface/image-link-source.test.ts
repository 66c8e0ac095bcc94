import { env } from 'cloudflare:workers';
import { readImageHeader } from '@deblur/shared/image-header/index.ts';
import { parseOptions } from '@deblur/shared/protocol/options.ts';
import { describe, expect, it } from 'vitest';
import { createPorts } from '../../../workers/gateway/deps.ts';
import type { ReceivedSource } from '../../../workers/gateway/sources/source-store.ts';
import { restoreImageLink } from '../../../workers/gateway/restorations/restore-image-link.ts';
import { SourceChanged } from '../../../workers/gateway/sources/source-links.ts';
import { call, problem, problemOf } from '../support/gateway.ts';
import { png } from '../support/pictures.ts';
import { sign } from '../support/sign.ts';
import { host, picture, redirect } from '../support/sources.ts';

describe('a source that does not come', () => {
  it.each([
    ['is not there', { status: 404 }, 422, 'source_not_found'],
    ['is forbidden', { status: 403 }, 422, 'source_not_found'],
    ['has no content', { status: 204 }, 422, 'source_not_found'],
    ['says not modified unasked', { status: 304 }, 502, 'source_fetch_failed'],
    ['redirects nowhere', { status: 302 }, 422, 'source_not_found'],
    ['redirects to nonsense', { status: 302, headers: { location: 'http://' } }, 422, 'source_not_found'],
    ['redirects elsewhere', { status: 302, headers: { location: 'https://evil.deblur.dev/' } }, 403, 'forbidden'],
    ['redirects inside', { status: 307, headers: { location: 'http://169.254.169.254/' } }, 403, 'forbidden'],
    ['redirects to a file', { status: 301, headers: { location: 'file:///etc/passwd' } }, 403, 'forbidden'],
    ['redirects to itself', { status: 308, headers: { location: '/broken' } }, 422, 'source_not_found'],
    ['is empty', { body: '' }, 400, 'empty_body'],
    [
      'is a page',
      { body: btoa('<html>not a picture</html>'), headers: { 'content-type': 'image/png' } },
      415,
      'unsupported_media_type',
    ],
    [
      'is cut off',
      { body: btoa('\x89'), fault: 'break', headers: { 'content-length': '4' } },
      502,
      'source_fetch_failed',
    ],
    [
      'is announced too large',
      { body: btoa('x'), fault: 'break', headers: { 'content-length': '25000001' } },
      413,
      'body_too_large',
    ],
  ] as const)('because it %s', async (_, answer, status, code) => {
    await host.serve({ '/broken': answer });
    expect(await problemOf(await call(await sign(host.url('/broken'))))).toEqual(problem(status, code));
    // Remembered, and so not asked for again for a minute.
    const asked = (await host.requests()).length;
    expect(await problemOf(await call(await sign(host.url('/broken'))))).toEqual(problem(status, code));
    expect(await host.requests()).toHaveLength(asked);
  });

  it('is asked a second time when its host stumbles, and not a third time', async () => {
    await host.serve({ '/s': [{ status: 503 }, picture(png())] });
    expect((await call(await sign(host.url('/s')))).status).toBe(200);
    await host.serve({ '/down': { status: 503 } });
    expect(await problemOf(await call(await sign(host.url('/down'))))).toEqual(problem(502, 'source_fetch_failed'));
    expect((await host.requests()).length).toBe(2);
  });

  it('is fetched once, however many ask at the same moment', async () => {
    await host.serve({ '/joined': picture(png()) });
    const path = await sign(host.url('/joined'));
    const answers = await Promise.all(Array.from({ length: 20 }, () => call(path)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    await Promise.all(answers.map((answer) => answer.arrayBuffer()));
    expect(await host.requests()).toHaveLength(1);
  });

  it('may be five redirects away, not six', async () => {
    const hops = [-1, 0, 1, 2, 3, 4].map((n) => [`/${n}`, redirect(`/${n + 1}`)] as const);
    await host.serve({ ...Object.fromEntries(hops), '/5': picture(png()) });
    expect((await call(await sign(host.url('/0')))).status).toBe(200);
    expect(await problemOf(await call(await sign(host.url('/-1'))))).toEqual(problem(422, 'source_not_found'));
  });

  it('must stay the same for a moment', async () => {
    const source: ReceivedSource = {
      digest: 'a'.repeat(64),
      bytes: 1,
      header: readImageHeader(png()),
      keep: () => Promise.reject(new SourceChanged()),
      discard: async () => undefined,
    };
    const ports = { ...createPorts(env), links: { receive: async () => source } };
    const restored = restoreImageLink(ports, {
      url: 'https://cdn.deblur.dev/p.png',
      options: parseOptions({}),
      accept: null,
      waitSeconds: 1,
      signal: new AbortController().signal,
    });
    await expect(restored).rejects.toMatchObject({ code: 'source_fetch_failed' });
  });
});

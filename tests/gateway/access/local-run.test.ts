import { env } from 'cloudflare:workers';
import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { createApp } from '../../../workers/gateway/app.ts';
import { createPorts } from '../../../workers/gateway/deps.ts';
import { problem, problemOf } from '../support/gateway.ts';
import { png } from '../support/pictures.ts';

const LISTED = 'http://127.0.0.1:8000';

/** The gateway as `npm start` runs it, with a page of another origin let in. */
async function send(url: string, init: RequestInit = {}, variables: Record<string, string> = {}): Promise<Response> {
  const app = createApp(createPorts({ ...env, PUBLIC_URL: '', CORS_ORIGINS: LISTED, ...variables } as typeof env));
  const context = createExecutionContext();
  const response = await app.fetch(new Request(url, init), env, context);
  await waitOnExecutionContext(context);
  return response;
}

const LOCAL = 'http://127.0.0.1:8787';

describe('a local run', () => {
  it.each([LOCAL, 'http://localhost:8787', 'http://deblur.localhost', 'http://[::1]:8787'])(
    'answers as %s',
    async (at) => {
      expect((await send(`${at}/v1/models`)).status).toBe(200);
    },
  );

  it.each([
    'http://rebound.example',
    'http://localhost.rebound.example',
    'http://192.168.1.7:8787',
    'http://127.0.0.1.nip.io',
  ])('does not answer as %s, to which a page may have rebound its name', async (at) => {
    for (const path of ['/v1/models', '/v1/webhooks/default/secret', '/healthz']) {
      expect(await problemOf(await send(`${at}${path}`))).toEqual(problem(403, 'forbidden'));
    }
  });

  it('answers as the name in PUBLIC_URL', async () => {
    const at = 'https://deblur.lan';
    expect((await send(`${at}/v1/models`, {}, { PUBLIC_URL: at })).status).toBe(200);
  });

  it('changes nothing for pages of origins that are not listed', async () => {
    const post = (origin: string) => send(`${LOCAL}/v1/deblur`, { method: 'POST', body: png(), headers: { origin } });
    expect(await problemOf(await post('https://page.example'))).toEqual(problem(403, 'forbidden'));
    expect(await problemOf(await post('null'))).toEqual(problem(403, 'forbidden'));
    for (const origin of [LISTED, LOCAL]) expect((await post(origin)).status).toBe(200);
  });

  it('lets pages of listed origins read answers, but never keys, secrets and lists', async () => {
    const allowed = async (path: string, origin: string) =>
      (await send(`${LOCAL}${path}`, { headers: { origin } })).headers.get('access-control-allow-origin');
    expect(await allowed('/v1/models', LISTED)).toBe(LISTED);
    expect(await allowed('/v1/models', 'https://page.example')).toBeNull();
    for (const path of ['/v1/keys', '/v1/webhooks/default/secret', '/v1/predictions', '/v1/files']) {
      expect(await allowed(path, LISTED), path).toBeNull();
    }
  });
});

describe('the addresses in answers', () => {
  const getOf = async (response: Response): Promise<string> =>
    (await response.json<{ urls: { get: string } }>()).urls.get;
  const create = (variables: Record<string, string>, headers: Record<string, string> = {}) =>
    send(`${LOCAL}/v1/predictions`, { method: 'POST', body: png(), headers }, variables);

  it('are those of PUBLIC_URL', async () => {
    expect(await getOf(await create({ PUBLIC_URL: 'https://deblur.lan' }))).toMatch(
      /^https:\/\/deblur\.lan\/v1\/predictions\//,
    );
  });

  it('are https behind a proxy that is trusted and says so, and not behind another', async () => {
    const headers = { 'x-forwarded-proto': 'https' };
    expect(await getOf(await create({ TRUSTED_PROXY: 'true' }, headers))).toMatch(/^https:\/\/127\.0\.0\.1:8787\//);
    expect(await getOf(await create({}, headers))).toMatch(/^http:\/\/127\.0\.0\.1:8787\//);
  });
});

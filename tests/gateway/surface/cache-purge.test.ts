import { describe, expect, it } from 'vitest';
import { ZonePurge } from '../../../workers/gateway/results/cache-purge.ts';
import { host } from '../support/sources.ts';

describe('the purge of a zone', () => {
  const zoneId = 'f'.repeat(32);
  const path = `/client/v4/zones/${zoneId}/purge_cache`;
  const purge = new ZonePurge({ zoneId, token: 'a-token', api: host.url('') });

  it('asks Cloudflare for tags', async () => {
    await host.serve({ [path]: { body: btoa('{"success":true}') } });
    await purge.purge(['result-a', 'result-b']);
    const [request] = await host.requests();
    expect([request?.method, request?.headers['authorization'], JSON.parse(request?.body ?? '')]).toEqual([
      'POST',
      'Bearer a-token',
      { tags: ['result-a', 'result-b'] },
    ]);
  });

  it.each([429, 403, 500, 302])('has failed with status %i', async (status) => {
    await host.serve({ [path]: { status, headers: { location: '/' } } });
    await expect(purge.purge(['result-a'])).rejects.toThrow(String(status));
    expect((await host.requests()).length).toBe(1);
  });
});

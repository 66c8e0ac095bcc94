/** Predictions hold their results as uploads do: what another one erases stays for them, and nobody is told of others. */
import type { Prediction } from '@deblur/shared/protocol/prediction.ts';
import { beforeEach, describe, expect, it } from 'vitest';
import { edge, resultPathOf, stored } from '../support/gateway.ts';
import { png } from '../support/pictures.ts';
import { host, picture } from '../support/sources.ts';
import { tenant, type Caller } from '../support/tenants.ts';

let names = 0;
let anna: Caller;
let bert: Caller;

// Objects outlive a test: each has tenants and pictures of its own.
beforeEach(() => {
  names++;
  anna = tenant(`anna-of-predictions-${names}`);
  bert = tenant(`bert-of-predictions-${names}`);
});

/**
 * The two ways of a picture into a prediction: planned with the create, or after it was fetched by the prediction's object,
 * which is configured as local runs are, with a shared cache.
 */
const images: Readonly<Record<'bytes' | 'address', (bytes: Uint8Array) => Promise<string>>> = {
  bytes: async (bytes) => `data:image/png;base64,${bytes.toBase64()}`,
  address: async (bytes) => {
    const path = `/of-predictions-${names}.png`;
    await host.serve({ [path]: picture(bytes) });
    return host.url(path);
  },
};

async function predicted(caller: Caller, image: string): Promise<Prediction> {
  const headers = { 'content-type': 'application/json', prefer: 'wait=10' };
  const body = JSON.stringify({ input: { image } });
  return (await caller('/v1/predictions', { method: 'POST', headers, body })).json<Prediction>();
}

describe.each([
  ['bytes', 'miss'],
  ['address', 'hit'],
] as const)('a prediction of a picture by %s', (way, told) => {
  it('holds its result: the bytes go with the last holder', async () => {
    const imageOf = images[way];
    const bytes = png();
    const path = resultPathOf(await anna('/v1/deblur', { method: 'POST', body: bytes }));
    const { metrics, output } = await predicted(bert, await imageOf(bytes));
    // Bert has never asked for it before: without a shared cache he is not told that somebody else has.
    expect([metrics.cache, new URL(output ?? '').pathname]).toEqual([told, path]);
    expect((await edge.calls()).restore).toBe(1);
    expect((await predicted(bert, await imageOf(bytes))).metrics.cache).toBe('hit');
    expect((await anna(path, { method: 'DELETE' })).status).toBe(204);
    expect((await bert(path)).status).toBe(200);
    expect((await bert(path, { method: 'DELETE' })).status).toBe(204);
    expect([(await bert(path)).status, await stored('results/')]).toEqual([410, []]);
  });
});

/** The released client, unchanged, with its fetch pointed at the gateway. */
import type { Prediction } from '@deblur/shared/protocol/prediction.ts';
import { exports } from 'cloudflare:workers';
import Replicate from 'replicate';
import { describe, expect, it } from 'vitest';
import { edge, until } from '../support/gateway.ts';
import { addGhosts, dataUri } from '../support/predictions.ts';
import { hostedAt, picture } from '../support/sources.ts';
import { png } from '../support/pictures.ts';

const replicate = new Replicate({
  auth: 'any',
  baseUrl: 'https://deblur.test/v1',
  fetch: (input, init) => exports.default.fetch(new Request(input, init)),
});

const MODEL = 'deblur/dhnet-edge';
const uri = () => dataUri(png());
const restoring = () => until(async () => (await edge.calls()).restore === 1);

describe('replicate', () => {
  it('runs a model by its name and reads the picture', async () => {
    const output = (await replicate.run(MODEL, { input: { image: uri(), format: 'webp' } })) as unknown as {
      blob(): Promise<Blob>;
      url(): URL;
    };
    expect(output.url().href).toMatch(/^https:\/\/deblur\.test\/v1\/results\/[0-9a-f]{64}$/);
    const blob = await output.blob();
    expect(new TextDecoder().decode(await blob.arrayBuffer())).toMatch(/^\{"format":"webp"/);
  });

  it('runs a model by its version', async () => {
    const { latest_version: latest } = await replicate.models.get('deblur', 'dhnet-edge');
    expect(latest?.id).toMatch(/^[0-9a-f]{64}$/);
    const output = await replicate.run(`${MODEL}:${latest?.id ?? ''}`, { input: { image: uri() } });
    expect(String(output)).toContain('/v1/results/');
  });

  it.each([{ mode: 'block', timeout: 1 } as const, { mode: 'poll', interval: 20 } as const])(
    'goes on polling when the wait is over: %o',
    async (wait) => {
      await edge.hold();
      const seen: string[] = [];
      const output = replicate.run(MODEL, { input: { image: uri() }, wait }, ({ status }) => void seen.push(status));
      await restoring();
      await new Promise((resolve) => setTimeout(resolve, 1200));
      await edge.release();
      expect(String(await output)).toContain('/v1/results/');
      expect(seen[0]).toBe('starting');
      expect(seen.at(-1)).toBe('succeeded');
    },
  );

  it('creates, gets, waits and lists', async () => {
    const url = await hostedAt(picture(png()));
    const prediction = await replicate.predictions.create({ model: MODEL, input: { image: url } });
    expect(prediction).toMatchObject({ status: 'starting', model: MODEL, input: { image: url }, output: null });
    const ended = await replicate.wait(prediction, { interval: 20 });
    expect(ended).toMatchObject({ id: prediction.id, status: 'succeeded' });
    expect(await replicate.predictions.get(prediction.id)).toEqual(ended);
    expect((await replicate.predictions.list()).results[0]).toEqual(ended);
  });

  it('blocks until the end', async () => {
    const prediction = await replicate.predictions.create({ version: 'dhnet-edge', input: { image: uri() }, wait: 5 });
    expect(prediction.status).toBe('succeeded');
    expect(prediction.metrics?.predict_time).toBeGreaterThanOrEqual(0);
  });

  it('cancels', async () => {
    await edge.hold();
    const { id } = await replicate.predictions.create({ model: MODEL, input: { image: uri() } });
    await restoring();
    expect((await replicate.predictions.cancel(id)).status).toBe('canceled');
    expect((await replicate.predictions.cancel(id)).status).toBe('canceled');
  });

  it('throws what failed, with its code', async () => {
    await edge.failNext({ code: 'image_undecodable', detail: 'The data is broken.' });
    await expect(replicate.run(MODEL, { input: { image: uri() } })).rejects.toThrow(
      'Prediction failed: image_undecodable: The data is broken.',
    );
  });

  it('streams until the end', async () => {
    const events: { event: string; data: string }[] = [];
    for await (const event of replicate.stream(MODEL, { input: { image: uri() } })) events.push(event);
    const last = events.at(-1);
    expect(last?.event).toBe('completed');
    expect((JSON.parse(last?.data ?? '') as Prediction).status).toBe('succeeded');
  });

  it('pages through a list', async () => {
    const input = { image: uri() };
    const first = await replicate.predictions.create({ model: MODEL, input, wait: 10 });
    await addGhosts(50);
    const second = await replicate.predictions.create({ model: MODEL, input });
    const pages: Prediction[][] = [];
    for await (const page of replicate.paginate(replicate.predictions.list)) {
      pages.push(page as unknown as Prediction[]);
      if (pages.length === 2) break;
    }
    expect(pages[0]).toEqual([second]);
    expect(pages[1]?.[0]).toEqual(first);
  });
});

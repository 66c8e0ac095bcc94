import type { Prediction } from '@deblur/shared/protocol/prediction.ts';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import manifest from '../../../model-export/weights/dhnet-edge/manifest.json';
import { call, edge, problem, problemOf, stored, until } from '../support/gateway.ts';
import { cancel, create, created, dataUri, ending, read } from '../support/predictions.ts';
import { png, streamOf } from '../support/pictures.ts';

const image = () => dataUri(png());
const json = (response: Response) => response.json<Prediction>();

describe('a create', () => {
  it.each([
    ['without preference', {}, 201, 'starting'],
    ['that will come back', { prefer: 'respond-async' }, 202, 'starting'],
    ['that waits', { prefer: 'wait=10' }, 201, 'succeeded'],
  ])('%s', async (_, headers, status, state) => {
    const response = await create({ input: { image: image(), quality: 80 } }, { headers });
    expect(response.status).toBe(status);
    expect(response.headers.get('preference-applied')).toBe(Object.values(headers)[0] ?? null);
    expect(response.headers.get('cache-control')).toBe('no-store');
    const prediction = await json(response);
    expect(response.headers.get('location')).toBe(`/v1/predictions/${prediction.id}`);
    expect(prediction).toMatchObject({ status: state, input: { quality: 80 }, model: 'deblur/dhnet-edge' });
    expect(prediction.id).toMatch(/^[a-z2-7]{26}$/);
    await ending(prediction.id);
  });

  it('whose wait expires says "starting", although its work has begun', async () => {
    await edge.hold();
    const response = await create({ input: { image: image() } }, { headers: { prefer: 'wait=1' } });
    expect(response.status).toBe(202);
    expect(response.headers.get('retry-after')).toBe('5');
    const { id, status } = await json(response);
    expect(status).toBe('starting');
    await edge.release();
    expect((await ending(id)).status).toBe('succeeded');
  });

  it('of what is there already has succeeded at once, and keeps no source', async () => {
    const picture = png();
    const first = await created({ input: { image: dataUri(picture) } });
    const { output } = await ending(first.id);
    await env.STORE.delete(await stored('sources/'));
    const again = await created({ input: { image: dataUri(picture) } });
    expect(again).toMatchObject({ status: 'succeeded', output, metrics: { cache: 'hit', placement: 'edge' } });
    expect(await stored('sources/')).toEqual([]);
    expect((await edge.calls()).restore).toBe(1);
  });

  it.each([
    ['raw bytes', { body: png(), headers: { 'content-type': 'image/png' } }],
    ['raw bytes without a length', { body: streamOf(png()), headers: { 'content-type': 'image/png' } }],
  ])('takes %s, with options in the query', async (_, init) => {
    const response = await call('/v1/predictions?format=webp&version=dhnet-edge', { method: 'POST', ...init });
    expect(response.status).toBe(201);
    const { id, input } = await json(response);
    expect(input).toEqual({ image: expect.stringMatching(/^sha256:[0-9a-f]{64}$/), format: 'webp' });
    const { output } = await ending(id);
    expect((await call(output ?? '')).headers.get('content-type')).toBe('image/webp');
  });

  it('takes a form', async () => {
    const form = new FormData();
    form.set('image', new Blob([png()], { type: 'image/png' }), 'a.png');
    form.set('quality', '70');
    form.set('version', 'deblur/dhnet-edge');
    const response = await call('/v1/predictions', { method: 'POST', body: form });
    expect(response.status).toBe(201);
    const { id, input } = await json(response);
    expect(input).toMatchObject({ quality: 70 });
    expect((await ending(id)).status).toBe('succeeded');
  });

  it('takes the address of an earlier result', async () => {
    const picture = png();
    const { id } = await created({ input: { image: dataUri(picture), format: 'png' } });
    const { output } = await ending(id);
    // The stand-in's results are no pictures, so that the header refuses what was opened: it was not called.
    const response = await create({ input: { image: output } });
    expect(await problemOf(response)).toEqual(problem(415, 'unsupported_media_type'));
  });
});

describe('the model', () => {
  const { version } = manifest;

  it.each([
    'auto',
    'dhnet-edge',
    'deblur/dhnet-edge',
    version,
    `dhnet-edge:${version}`,
    `deblur/dhnet-edge:${version}`,
  ])('may be meant by version=%s', async (reference) => {
    const prediction = await created({ version: reference, input: { image: image() } });
    expect(prediction).toMatchObject({ model: 'deblur/dhnet-edge', version });
    await ending(prediction.id);
  });

  it('may be meant by the path and said again', async () => {
    const path = '/v1/models/deblur/dhnet-edge/predictions';
    const body = { version, input: { image: image(), model: 'dhnet-edge' } };
    const prediction = await created(body, { path });
    expect(prediction.input).toMatchObject({ model: 'dhnet-edge' });
    await ending(prediction.id);
  });

  const input = { image: 'https://example.com/a.png' };
  it.each([
    ['another in the input', { version: 'dhnet-edge', input: { ...input, model: 'dhnet' } }, 422, 'invalid_option'],
    ['auto in the input', { version: 'dhnet-edge', input: { ...input, model: 'auto' } }, 422, 'invalid_option'],
    ['a version of another', { version: `dhnet:${version}`, input }, 422, 'invalid_option'],
    ['a version that is not here', { version: 'a'.repeat(64), input }, 422, 'model_unavailable'],
    ['a name that is none', { version: 'esrgan', input }, 422, 'invalid_option'],
    ['of another owner', { version: 'nvidia/dhnet-edge', input }, 422, 'invalid_option'],
    ['a prefix of the version', { version: version.slice(0, 12), input }, 422, 'invalid_option'],
    ['untrained', { version: 'dhnet', input }, 422, 'model_unavailable'],
    ['untrained in the input', { input: { ...input, model: 'dhnet-b' } }, 422, 'model_unavailable'],
  ])('is refused: %s', async (_, body, status, code) => {
    expect(await problemOf(await create(body))).toEqual(problem(status, code));
  });

  it.each([
    ['deblur/none', 404, 'not_found'],
    ['other/dhnet-edge', 404, 'not_found'],
    ['deblur/dhnet', 422, 'model_unavailable'],
  ])('of the path /v1/models/%s/predictions: %i', async (model, status, code) => {
    const path = `/v1/models/${model}/predictions`;
    expect(await problemOf(await create({ input }, { path }))).toEqual(problem(status, code));
  });

  it('is described under its path', async () => {
    const response = await call('/v1/models/deblur/dhnet-edge');
    expect(await response.json()).toMatchObject({
      url: 'https://deblur.test/v1/models/deblur/dhnet-edge',
      owner: 'deblur',
      name: 'dhnet-edge',
      visibility: 'public',
      latest_version: { id: version },
      trained: true,
    });
    expect(await (await call('/v1/models/deblur/dhnet')).json()).toMatchObject({
      available: false,
      latest_version: null,
    });
    expect(await problemOf(await call('/v1/models/deblur/none'))).toEqual(problem(404, 'not_found'));
    expect(await problemOf(await call('/v1/models/other/dhnet-edge'))).toEqual(problem(404, 'not_found'));
  });
});

describe('cancel', () => {
  it('of what has succeeded changes nothing', async () => {
    const { id } = await created({ input: { image: image() } });
    const ended = await ending(id);
    expect(await cancel(id)).toEqual(ended);
  });

  it('of what is being restored', async () => {
    await edge.hold();
    const { id } = await created({ input: { image: image() } });
    await until(async () => (await edge.calls()).restore === 1);
    const canceled = await cancel(id);
    expect(canceled).toMatchObject({ status: 'canceled', output: null, error: null, urls: { result: null } });
    await edge.release();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await read(id)).toEqual(canceled);
  });
});

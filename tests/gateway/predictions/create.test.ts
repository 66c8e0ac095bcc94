import type { Prediction } from '@deblur/shared/prediction.ts';
import { describe, expect, it } from 'vitest';
import { createPorts } from '../../../workers/gateway/deps.ts';
import { newPredictionId } from '../../../workers/gateway/predict/prediction-id.ts';
import manifest from '../../../model-export/weights/dhnet-edge/manifest.json';
import { env } from 'cloudflare:workers';
import { call, edge, problem, problemOf, stored, until } from '../support/gateway.ts';
import { cancel, create, created, dataUri, ending, get, read } from '../support/predictions.ts';
import { animatedGif, concat, png, streamOf } from '../support/pictures.ts';

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

describe('Idempotency-Key', () => {
  const keyed = (body: unknown, key: string, headers: Record<string, string> = {}) =>
    create(body, { headers: { 'idempotency-key': key, ...headers } });

  it('gives the same request its own prediction again, however it is written', async () => {
    const picture = png();
    const first = await json(await keyed({ input: { image: dataUri(picture) } }, 'once-1'));
    const again = await keyed({ input: { image: dataUri(picture), quality: 90 } }, 'once-1', { prefer: 'wait=10' });
    expect(again.status).toBe(201);
    expect(await json(again)).toMatchObject({ id: first.id, status: 'succeeded' });
    const raw = await call('/v1/predictions', {
      method: 'POST',
      body: picture,
      headers: { 'idempotency-key': 'once-1' },
    });
    expect((await json(raw)).id).toBe(first.id);
  });

  it('refuses another request', async () => {
    const body = { input: { image: image() } };
    const { id } = await json(await keyed(body, 'once-2'));
    for (const [other, headers] of [
      [{ input: { image: image() } }, {}],
      [{ input: { ...body.input, quality: 80 } }, {}],
      [body, { 'cancel-after': '1m' }],
    ] as const) {
      expect(await problemOf(await keyed(other, 'once-2', headers))).toEqual(problem(422, 'idempotency_key_reused'));
    }
    await ending(id);
  });

  it('makes one prediction of many equal requests at once', async () => {
    const body = { input: { image: image() } };
    const responses = await Promise.all(Array.from({ length: 20 }, () => keyed(body, 'once-3')));
    const ids = new Set<string>();
    for (const response of responses) {
      if (response.status === 201) ids.add((await json(response)).id);
      else {
        expect(response.headers.get('retry-after')).toBe('1');
        expect(await problemOf(response)).toEqual(problem(409, 'idempotency_conflict'));
      }
    }
    expect(ids.size).toBe(1);
    const [id = ''] = ids;
    await ending(id);
    const { results } = await (await call('/v1/predictions')).json<{ results: Prediction[] }>();
    expect(
      results.filter((prediction) => prediction.input['image'] === (results[0]?.input['image'] ?? '')),
    ).toHaveLength(1);
    expect((await edge.calls()).restore).toBe(1);
  });

  it('is 409 while its create is under way, and is taken over when that never came to its end', async () => {
    const { predictions } = createPorts(env);
    const index = env.PREDICTION_INDEX.get(env.PREDICTION_INDEX.idFromName('keys'));
    const command = { ...(await commandOf()), tenantId: 'keys' };
    const abandoned = newPredictionId();
    expect(await index.claim('k', command.fingerprint, abandoned)).toEqual({ outcome: 'claimed', id: abandoned });
    await expect(predictions.create(command, 'k')).rejects.toEqual(
      expect.objectContaining({ code: 'idempotency_conflict' }),
    );
    await index.release('k', abandoned);
    expect((await predictions.create(command, 'k')).snapshot.prediction.id).toBe(command.id);
    await expect(predictions.create({ ...command, fingerprint: 'x' }, 'k')).rejects.toEqual(
      expect.objectContaining({ code: 'idempotency_key_reused' }),
    );
    await predictions.cancel('keys', command.id);
  });

  it.each(['', 'x'.repeat(256), 'ключ'.normalize()])('is refused when it is "%s"', async (key) => {
    const header = key === 'ключ' ? 'a\x80b' : key;
    const response = await create({ input: { image: image() } }, { headers: { 'idempotency-key': header } });
    expect(await problemOf(response)).toEqual(problem(422, 'invalid_option'));
  });
});

async function commandOf() {
  const url = 'https://example.com/never.png';
  return {
    id: newPredictionId(),
    fingerprint: 'f',
    origin: 'https://deblur.test',
    model: 'deblur/dhnet-edge',
    modelVersion: manifest.version,
    options: { model: 'auto', format: 'auto', quality: 90, metadata: 'keep' },
    input: { image: url },
    source: { kind: 'url', url },
    deadlineSeconds: 60,
    webhook: null,
    webhookEvents: null,
  } as const;
}

describe('PUT', () => {
  const put = (id: string, body: unknown, headers: Record<string, string> = {}) =>
    create(body, { method: 'PUT', path: `/v1/predictions/${id}`, headers });

  it('creates by the id that it names, once', async () => {
    const id = newPredictionId();
    const body = { id, input: { image: image() } };
    const first = await put(id, body);
    expect([first.status, (await json(first)).id]).toEqual([201, id]);
    await ending(id);
    const again = await put(id, body);
    expect([again.status, (await json(again)).status]).toEqual([200, 'succeeded']);
    expect((await edge.calls()).restore).toBe(1);
  });

  it('is 202 while the work goes on', async () => {
    await edge.hold();
    const id = newPredictionId();
    const body = { input: { image: image() } };
    expect((await put(id, body, { prefer: 'respond-async' })).status).toBe(202);
    expect((await put(id, body, { prefer: 'respond-async' })).status).toBe(202);
    await edge.release();
    await ending(id);
  });

  it('is one prediction, however many put it at once', async () => {
    const id = newPredictionId();
    const body = { input: { image: image() } };
    const statuses = (await Promise.all(Array.from({ length: 10 }, () => put(id, body)))).map(({ status }) => status);
    expect(statuses.sort()).toEqual([...Array.from({ length: 9 }, () => 200), 201]);
    await ending(id);
    expect((await edge.calls()).restore).toBe(1);
  });

  it('refuses another request under the same id, another id in the body, and an id that is none', async () => {
    const id = newPredictionId();
    const body = { input: { image: image() } };
    await put(id, body);
    expect(await problemOf(await put(id, { input: { image: image() } }))).toEqual(
      problem(422, 'idempotency_key_reused'),
    );
    expect(await problemOf(await put(id, { ...body, id: newPredictionId() }))).toEqual(problem(422, 'invalid_option'));
    for (const bad of ['short', 'x'.repeat(27), id.toUpperCase()]) {
      expect(await problemOf(await put(bad, body))).toEqual(problem(422, 'invalid_option'));
    }
    await ending(id);
  });
});

describe('hostile creates', () => {
  const good = { image: 'https://example.com/a.png' };
  const nested = `${'{"input":'.repeat(2000)}1${'}'.repeat(2000)}`;

  it.each<[string, unknown, number, string]>([
    ['nothing', '', 400, 'empty_body'],
    ['no JSON', '{"input":', 400, 'malformed_request'],
    ['a list', '[]', 400, 'malformed_request'],
    ['null', 'null', 400, 'malformed_request'],
    ['no input', {}, 422, 'invalid_option'],
    ['an input that is a text', { input: 'x' }, 422, 'invalid_option'],
    ['an input that is a list', { input: [] }, 422, 'invalid_option'],
    ['deep nesting', nested, 422, 'unknown_option'],
    ['no image', { input: {} }, 422, 'invalid_option'],
    ['an image that is a number', { input: { image: 7 } }, 422, 'invalid_option'],
    ['an image that is an object', { input: { image: { url: 'x' } } }, 422, 'invalid_option'],
    ['an empty image', { input: { image: '' } }, 422, 'invalid_option'],
    ['an image that is text', { input: { image: 'a picture of a cat' } }, 422, 'invalid_option'],
    ['a file that is not there', { input: { image: 'abcdefghijklmnop' } }, 422, 'invalid_option'],
    [
      'a file of ours that is not there',
      { input: { image: 'https://deblur.test/v1/files/abc' } },
      422,
      'invalid_option',
    ],
    [
      'an address that is too long',
      { input: { image: `https://example.com/${'a'.repeat(5000)}` } },
      422,
      'invalid_option',
    ],
    ['a data URI without base64', { input: { image: 'data:image/png,abc' } }, 422, 'invalid_option'],
    ['a data URI that is broken', { input: { image: 'data:image/png;base64,****' } }, 422, 'invalid_option'],
    ['a data URI of nothing', { input: { image: 'data:image/png;base64,' } }, 400, 'empty_body'],
    [
      'a data URI of text',
      { input: { image: 'data:image/png;base64,aGVsbG8gd29ybGQ=' } },
      415,
      'unsupported_media_type',
    ],
    ['an animation', { input: { image: dataUri(animatedGif()) } }, 422, 'image_animated'],
    ['a bomb', { input: { image: dataUri(png({ width: 60_000, height: 60_000 })) } }, 422, 'image_too_many_pixels'],
    ['a truncated picture', { input: { image: dataUri(png().slice(0, 20)) } }, 422, 'image_truncated'],
    ['http', { input: { image: 'http://example.com/a.png' } }, 403, 'forbidden'],
    ['file:', { input: { image: 'file:///etc/passwd' } }, 403, 'forbidden'],
    ['javascript:', { input: { image: 'javascript:alert(1)' } }, 403, 'forbidden'],
    ['loopback', { input: { image: 'https://127.0.0.1/a.png' } }, 403, 'forbidden'],
    ['loopback as a number', { input: { image: 'https://2130706433/a.png' } }, 403, 'forbidden'],
    ['loopback in hexadecimal', { input: { image: 'https://0x7f.1/a.png' } }, 403, 'forbidden'],
    ['IPv6', { input: { image: 'https://[::1]/a.png' } }, 403, 'forbidden'],
    ['metadata service', { input: { image: 'https://169.254.169.254/latest' } }, 403, 'forbidden'],
    ['an internal name', { input: { image: 'https://metadata.google.internal/' } }, 403, 'forbidden'],
    ['a name without dots', { input: { image: 'https://intranet/' } }, 403, 'forbidden'],
    ['a password', { input: { image: 'https://user:pass@example.com/a.png' } }, 403, 'forbidden'],
    ['an unknown option', { input: { ...good, scale: 2 } }, 422, 'unknown_option'],
    ['an unknown key', { input: good, hardware: 'cpu' }, 422, 'unknown_option'],
    ['a quality out of range', { input: { ...good, quality: 101 } }, 422, 'invalid_option'],
    ['a format that is none', { input: { ...good, format: 'bmp' } }, 422, 'invalid_option'],
    ['a version that is a number', { version: 3, input: good }, 422, 'invalid_option'],
    ['an id without PUT', { id: 'a'.repeat(26), input: good }, 422, 'invalid_option'],
    ['a webhook', { input: good, webhook: 'https://example.com/hook' }, 422, 'invalid_option'],
    ['an event that is none', { input: good, webhook_events_filter: ['done'] }, 422, 'invalid_option'],
    ['many events', { input: good, webhook_events_filter: Array(9).fill('start') }, 422, 'invalid_option'],
  ])('%s', async (_, body, status, code) => {
    const response = await create(body);
    expect(await problemOf(response)).toEqual(problem(status, code));
    expect(await stored('')).toEqual([]);
  });

  it('says that webhooks are not supported yet', async () => {
    const response = await create({ input: good, webhook: 'https://example.com/hook' });
    expect(await response.json()).toMatchObject({ detail: 'webhook: not supported yet' });
  });

  it.each([
    ['Cancel-After', { 'cancel-after': 'soon' }],
    ['Cancel-After that is too short', { 'cancel-after': '1s' }],
  ])('%s', async (_, headers) => {
    expect(await problemOf(await create({ input: good }, { headers }))).toEqual(problem(422, 'invalid_option'));
  });

  it('a body that is too large', async () => {
    const response = await create(JSON.stringify({ input: { image: 'x'.repeat(8_100_000) } }));
    expect(await problemOf(response)).toEqual(problem(413, 'body_too_large'));
  });

  it.each([
    ['UTF-16', Uint8Array.of(0xff, 0xfe, 0x7b, 0x00), 400, 'malformed_request'],
    [
      'half a character',
      concat(new TextEncoder().encode('{"version":"'), Uint8Array.of(0xc3)),
      400,
      'malformed_request',
    ],
  ])('%s', async (_, body, status, code) => {
    const headers = { 'content-type': 'application/json' };
    const response = await call('/v1/predictions', { method: 'POST', headers, body });
    expect(await problemOf(response)).toEqual(problem(status, code));
  });

  it.each([
    ['no picture', 'text=1', 'application/x-www-form-urlencoded', 415, 'unsupported_media_type'],
    ['a form without boundary', 'x', 'multipart/form-data', 400, 'malformed_request'],
  ])('%s', async (_, body, type, status, code) => {
    const response = await call('/v1/predictions', { method: 'POST', headers: { 'content-type': type }, body });
    expect(await problemOf(response)).toEqual(problem(status, code));
  });

  it('unknown options of a form leave nothing stored', async () => {
    const form = new FormData();
    form.set('image', new Blob([concat(png(), new Uint8Array(5_000_000))]), 'a.png');
    form.set('scale', '2');
    const response = await call('/v1/predictions', { method: 'POST', body: form });
    expect(await problemOf(response)).toEqual(problem(422, 'unknown_option'));
    expect(await stored('')).toEqual([]);
  });
});

describe('a tenant', () => {
  it('sees nothing of another', async () => {
    const { predictions } = createPorts(env);
    const { id } = await created({ input: { image: image() } });
    await ending(id);
    expect((await predictions.read('local', id))?.prediction.id).toBe(id);
    expect(await predictions.read('other', id)).toBeNull();
    expect(await predictions.next('other', id, null, 10)).toBeNull();
    expect(await predictions.cancel('other', id)).toBeNull();
    expect((await predictions.list('other', null)).results).toEqual([]);
    // Nor may it choose an id that is taken elsewhere and get at it.
    const command = { ...(await commandOf()), id, tenantId: 'other' };
    const own = await predictions.create(command, null);
    expect(own).toMatchObject({ created: true, snapshot: { prediction: { id, input: command.input } } });
    await predictions.cancel('other', id);
    expect((await read(id)).status).toBe('succeeded');
  });

  it.each(['a'.repeat(26), 'short', 'A'.repeat(26), '%00', '..%2f..', 'x'.repeat(500)])(
    'finds nothing under %s',
    async (id) => {
      expect(await problemOf(await get(id))).toEqual(problem(404, 'not_found'));
      const canceled = await call(`/v1/predictions/${id}/cancel`, { method: 'POST' });
      expect(await problemOf(canceled)).toEqual(problem(404, 'not_found'));
    },
  );

  it.each([
    ['DELETE', '/v1/predictions', 'GET, HEAD, POST'],
    ['POST', `/v1/predictions/${'a'.repeat(26)}`, 'GET, HEAD, PUT'],
    ['GET', `/v1/predictions/${'a'.repeat(26)}/cancel`, 'POST'],
    ['GET', '/v1/models/deblur/dhnet-edge/predictions', 'POST'],
  ])('405 for %s %s', async (method, path, allow) => {
    const response = await call(path, { method });
    expect(response.headers.get('allow')).toBe(allow);
    expect(await problemOf(response)).toEqual(problem(405, 'method_not_allowed'));
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

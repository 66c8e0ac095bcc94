/** An option that stands in the query and in the JSON: the same where both say it as one text. */
import { describe, expect, it } from 'vitest';
import { deblur, edge, problem, problemOf } from './support/gateway.ts';
import { png } from './support/pictures.ts';
import { create, dataUri } from './support/predictions.ts';

const asDeblur = (query: string, options: Record<string, unknown>): Promise<Response> =>
  deblur(JSON.stringify({ image: dataUri(png()), ...options }), query, { 'content-type': 'application/json' });
const asPrediction = (query: string, options: Record<string, unknown>): Promise<Response> =>
  create({ input: { image: dataUri(png()), ...options } }, { path: `/v1/predictions${query}` });

describe.each([
  ['/v1/deblur', asDeblur, 200],
  ['/v1/predictions', asPrediction, 201],
])('an option that is given twice to %s', (_, send, success) => {
  it.each<[string, unknown]>([
    ['an object', { a: 1 }],
    ['an object that no text can be made of', { toString: null }],
    ['an object that says to be another', { toString: 'png' }],
    ['a list', ['png']],
    ['a list of what no text can be made of', [{ toString: null }]],
    ['null', null],
    ['another text', 'webp'],
  ])('is refused when one of them is %s', async (_name, format) => {
    expect(await problemOf(await send('?format=png', { format }))).toEqual(problem(422, 'invalid_option'));
    expect(await edge.calls()).toEqual({ restore: 0, encode: 0 });
  });

  it('is taken when it says the same, as text or as a number', async () => {
    const response = await send('?format=webp&quality=50', { format: 'webp', quality: 50 });
    expect(response.status).toBe(success);
    await response.arrayBuffer();
  });
});

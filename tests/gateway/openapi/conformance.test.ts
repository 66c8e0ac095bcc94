import { expect, it } from 'vitest';
import { assertConforms } from '../support/conformance.ts';
import { call } from '../support/gateway.ts';

const request = new Request('https://deblur.test/v1/predictions/00000000000000000000000000');

it('takes an answer as it came, and the same altered not', async () => {
  const response = await call(request.url);
  const body = await response.json<Record<string, unknown>>();
  const answer = (changes: object, { status = 404, headers = {} } = {}): Response =>
    new Response(JSON.stringify({ ...body, ...changes }), {
      status,
      headers: { ...Object.fromEntries(response.headers), ...headers },
    });
  await expect(assertConforms(request, answer({}))).resolves.toBeUndefined();
  await expect(assertConforms(request, answer({}, { status: 418 }))).rejects.toThrow('status is not documented');
  await expect(assertConforms(request, answer({ code: 'gone' }))).rejects.toThrow('getPrediction');
  await expect(assertConforms(request, answer({ detail: undefined }))).rejects.toThrow('detail');
  await expect(assertConforms(request, answer({ stack: 'x' }))).rejects.toThrow('stack');
  const html = answer({}, { headers: { 'content-type': 'text/html' } });
  await expect(assertConforms(request, html)).rejects.toThrow('type text/html is not documented');
  const long = answer({}, { headers: { 'x-request-id': 'x'.repeat(65) } });
  await expect(assertConforms(request, long)).rejects.toThrow('X-Request-Id');
});

/** W3C Trace Context, from the caller to the runner and to the webhook. */
import { readTraceContext, traceIdOf } from '@deblur/shared/protocol/trace-context.ts';
import { describe, expect, inject, it, vi } from 'vitest';
import type { ReceivedWebhook } from './support/receiver-stand-in.ts';
import { call, deblur, gpu, until } from './support/gateway.ts';
import { png } from './support/pictures.ts';
import { created, dataUri, ending } from './support/predictions.ts';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const TRACE = { traceparent: `00-${TRACE_ID}-00f067aa0ba902b7-01`, tracestate: 'rojo=1' };
/** What only the runner takes, whatever the size. */
const TILE = 256;

const handOvers = async () => (await gpu.requests()).filter(({ method }) => method === 'PUT');

async function webhooksOf(id: string): Promise<ReceivedWebhook[]> {
  const state = await (await fetch(`${inject('receiverUrl')}/control`)).json<{ received: ReceivedWebhook[] }>();
  return state.received.filter(({ body }) => body.includes(id));
}

describe('a request with a trace', () => {
  it('hands it on to the runner and to the webhook, and so does a wait', async () => {
    const body = { input: { image: dataUri(png()), tile: TILE }, webhook: `${inject('receiverUrl')}/hook` };
    const { id } = await created(body, { headers: TRACE });
    expect((await ending(id)).status).toBe('succeeded');
    await until(async () => (await webhooksOf(id)).length > 0);
    expect((await webhooksOf(id)).map(({ headers }) => headers)).toMatchObject([TRACE]);
    expect((await deblur(png(), `?tile=${TILE}`, TRACE)).status).toBe(200);
    expect((await handOvers()).map(({ trace }) => trace)).toEqual([TRACE, TRACE]);
  });

  it('has it in its line of the log', async () => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
    await call('/v1/models', { headers: TRACE });
    await call('/v1/models');
    const lines = log.mock.calls.map(([line]) => JSON.parse(String(line)) as { trace_id: string });
    log.mockRestore();
    expect(lines[0]?.trace_id).toBe(TRACE_ID);
    expect(lines[1]?.trace_id).toMatch(/^[0-9a-f]{32}$/);
    expect(lines[1]?.trace_id).not.toBe(TRACE_ID);
  });
});

it.each([
  ['without a trace', {}],
  ['with a malformed one', { traceparent: '00-zz-01', tracestate: 'rojo=1' }],
])('a request %s gets one of its own', async (_, headers) => {
  await deblur(png(), `?tile=${TILE}`, headers);
  const [trace] = (await handOvers()).map((request) => request.trace);
  const context = readTraceContext(trace?.traceparent, trace?.tracestate);
  expect(context).toEqual({ traceparent: trace?.traceparent });
  expect(traceIdOf(context!)).not.toBe(TRACE_ID);
});

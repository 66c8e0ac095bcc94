import { newTraceContext, readTraceContext, traceIdOf } from '@deblur/shared/protocol/trace-context.ts';
import { describe, expect, it } from 'vitest';

/** The specification's own example. */
const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT_ID = '00f067aa0ba902b7';
const TRACEPARENT = `00-${TRACE_ID}-${PARENT_ID}-01`;

describe('the trace context of a request', () => {
  it.each([
    ['as the specification shows it', TRACEPARENT],
    ['with flags of a later level', `00-${TRACE_ID}-${PARENT_ID}-03`],
    ['of a later version', `cc-${TRACE_ID}-${PARENT_ID}-01`],
    ['of a later version with more fields', `01-${TRACE_ID}-${PARENT_ID}-01-what-the-future-brings`],
  ])('is kept %s', (_, traceparent) => {
    const context = readTraceContext(traceparent, 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE');
    expect(context).toEqual({ traceparent, tracestate: 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE' });
    expect(traceIdOf(context!)).toBe(TRACE_ID);
  });

  it.each([
    ['nothing', undefined],
    ['an empty header', ''],
    ['two headers joined', `${TRACEPARENT}, ${TRACEPARENT}`],
    ['the forbidden version', `ff-${TRACE_ID}-${PARENT_ID}-01`],
    ['version 00 with more fields', `${TRACEPARENT}-00`],
    ['capital letters', TRACEPARENT.toUpperCase()],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-${PARENT_ID}-01`],
    ['a parent id of zeros', `00-${TRACE_ID}-${'0'.repeat(16)}-01`],
    ['a trace id that is too short', `00-${TRACE_ID.slice(1)}-${PARENT_ID}-01`],
    ['a later version of any length', `01-${TRACE_ID}-${PARENT_ID}-01-${'x'.repeat(512)}`],
  ])('is not read from %s', (_, traceparent) => {
    expect(readTraceContext(traceparent, 'a=1')).toBeUndefined();
  });

  it.each([
    ['too long', `a=${'x'.repeat(511)}`],
    ['not printable', 'a=\u0007'],
    ['empty', ''],
  ])('goes on without a state that is %s', (_, tracestate) => {
    expect(readTraceContext(TRACEPARENT, tracestate)).toEqual({ traceparent: TRACEPARENT });
  });

  it('is made anew, another one each time, valid and not sampled', () => {
    const made = Array.from({ length: 100 }, newTraceContext);
    for (const context of made) expect(readTraceContext(context.traceparent, undefined)).toEqual(context);
    expect(made.every(({ traceparent }) => traceparent.endsWith('-00'))).toBe(true);
    expect(new Set(made.map(traceIdOf)).size).toBe(100);
  });
});

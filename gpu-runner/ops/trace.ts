/** Whose request something is done for: the caller's trace goes on through every call that we make for it. */
import { readTraceContext, traceIdOf } from '@deblur/shared/protocol/trace-context.ts';

export interface Trace {
  readonly requestId: string;
  /** W3C Trace Context's 16 bytes in hex, for the log. */
  readonly traceId: string | undefined;
  /** What the calls that we make carry. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Headers that are not valid are not passed on: a broken trace is worse than none. */
export function traceOf(requestId: string, traceparent: string | undefined, tracestate: string | undefined): Trace {
  const context = readTraceContext(traceparent, tracestate);
  if (context === undefined) return { requestId, traceId: undefined, headers: {} };
  return { requestId, traceId: traceIdOf(context), headers: { ...context } };
}

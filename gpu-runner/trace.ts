/** Whose request something is done for: the caller's trace goes on through every call that we make for it. */

export interface Trace {
  readonly requestId: string;
  /** W3C Trace Context's 16 bytes in hex, for the log. */
  readonly traceId: string | undefined;
  /** What the calls that we make carry. */
  readonly headers: Readonly<Record<string, string>>;
}

/** W3C Trace Context § 3.2: version, trace id, parent id, flags. Later versions may add fields, version ff is none. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-|$)/;

/** A trace state that an intermediary must pass on is at most this long (W3C Trace Context § 3.3.1.5). */
const TRACESTATE_MAX_LENGTH = 512;

/** Headers that are not valid are not passed on: a broken trace is worse than none. */
export function traceOf(requestId: string, traceparent: string | undefined, tracestate: string | undefined): Trace {
  const traceId = TRACEPARENT.exec(traceparent ?? '')?.[1];
  if (traceparent === undefined || traceId === undefined) return { requestId, traceId: undefined, headers: {} };
  const state = tracestate !== undefined && tracestate.length <= TRACESTATE_MAX_LENGTH ? { tracestate } : {};
  return { requestId, traceId, headers: { traceparent, ...state } };
}

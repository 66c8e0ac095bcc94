/**
 * W3C Trace Context: the headers by which the parts of one request's work are found in everybody's logs. We record no spans,
 * so what a caller sends is passed on as it is, to the runner and to webhooks, like any intermediary does that takes no part.
 */

import { toHex } from '../net/digest.ts';

export interface TraceContext {
  readonly traceparent: string;
  /** Of the caller's tracing systems, opaque. */
  readonly tracestate?: string;
}

/** § 3.2: version, trace id, parent id, flags. Later versions may add fields, version 00 has none, version ff is none. */
const TRACEPARENT =
  /^(?!ff)(?<version>[0-9a-f]{2})-(?!0{32})(?<traceId>[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?<later>-.*)?$/;

/** What must be passed on is at most this long (§ 3.3.1.5); so is our header, of whatever version. */
const MAX_CHARACTERS = 512;

/** Printable, as a header is. */
const TRACESTATE = /^[\x20-\x7e]+$/;

/**
 * @returns undefined when the traceparent is missing or malformed, and then the tracestate says nothing (§ 3.2.3)
 */
export function readTraceContext(
  traceparent: string | null | undefined,
  tracestate: string | null | undefined,
): TraceContext | undefined {
  if (!traceparent || traceparent.length > MAX_CHARACTERS) return undefined;
  const { version, later } = TRACEPARENT.exec(traceparent)?.groups ?? {};
  if (version === undefined || (version === '00' && later !== undefined)) return undefined;
  const kept = tracestate && tracestate.length <= MAX_CHARACTERS && TRACESTATE.test(tracestate);
  return kept ? { traceparent, tracestate } : { traceparent };
}

/** Of a request that came without one: random, and not sampled, since nobody records it. */
export function newTraceContext(): TraceContext {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  const hex = toHex(bytes);
  return { traceparent: `00-${hex.slice(0, 32)}-${hex.slice(32)}-00` };
}

/** The 16 bytes in hexadecimal that all of one request's log lines have. */
export const traceIdOf = ({ traceparent }: TraceContext): string => traceparent.split('-', 2)[1] ?? '';

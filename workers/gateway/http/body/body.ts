/** Bodies as chunks, bounded in bytes and time. */
import { bodyBrokeOff, bodyNotUtf8, bodyTimedOut, bodyTooLarge } from '@deblur/shared/protocol/errors.ts';
import { REFUSED_BODY_DRAIN_MAX_BYTES, REFUSED_BODY_DRAIN_MS, UPLOAD_TIMEOUT_MS } from '@deblur/shared/limits.ts';
import type { MiddlewareHandler } from 'hono';
import { withTimeout } from '../../with-timeout.ts';
import type { AppEnv } from '../context.ts';

/** @throws {DeblurError} `body_too_large` when the length is announced and too much, before anything is read */
export function assertContentLength(header: string | undefined, maxBytes: number): void {
  if (header !== undefined && Number(header) > maxBytes) throw bodyTooLarge(maxBytes);
}

/**
 * The chunks of a body as they come; whoever stops early ends the body.
 * @throws {DeblurError} `body_too_large` once more than `maxBytes` have come, `request_timeout`, `malformed_request` when
 * it breaks off
 */
export async function* bodyChunks(
  body: ReadableStream<Uint8Array> | null,
  maxBytes: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (body === null) return;
  const reader = body.getReader();
  const deadline = Date.now() + UPLOAD_TIMEOUT_MS;
  let bytes = 0;
  let ended = false;
  try {
    for (;;) {
      const { value, done } = await withTimeout(brokenOff(reader.read()), Math.max(0, deadline - Date.now()), late);
      if (done) {
        ended = true;
        return;
      }
      bytes += value.length;
      if (bytes > maxBytes) throw bodyTooLarge(maxBytes);
      yield value;
    }
  } finally {
    if (!ended) await drain(reader);
  }
}

/** Lets a body run out that nobody has begun to read: whoever is refused by path, key, limit or header sends one too. */
export const drainUnread: MiddlewareHandler<AppEnv> = async (c, next) => {
  await next();
  const { body, bodyUsed } = c.req.raw;
  if (body !== null && !bodyUsed && !body.locked) await drain(body.getReader());
};

/**
 * Reads on for a moment without keeping anything. A connection that is closed while bytes are under way is reset, and
 * the caller never sees why it was refused.
 */
async function drain(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  const deadline = Date.now() + REFUSED_BODY_DRAIN_MS;
  try {
    for (let bytes = 0; bytes < REFUSED_BODY_DRAIN_MAX_BYTES;) {
      const { value, done } = await withTimeout(reader.read(), Math.max(0, deadline - Date.now()), late);
      if (done) return;
      bytes += value.length;
    }
  } catch {
    // Broken off, or too slow to be waited for.
  }
  reader.cancel().catch(() => undefined);
}

export async function* limitBytes(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw bodyTooLarge(maxBytes);
    yield chunk;
  }
}

/** @throws {DeblurError} as bodyChunks does, and `malformed_request` for text that is not UTF-8 */
export function bodyText(body: ReadableStream<Uint8Array> | null, maxBytes: number): Promise<string> {
  return textOf(bodyChunks(body, maxBytes));
}

/** @throws {DeblurError} `malformed_request` for text that is not UTF-8 */
export async function textOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });
  let text = '';
  const decode = (chunk?: Uint8Array): void => {
    try {
      text += chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true });
    } catch {
      throw bodyNotUtf8();
    }
  };
  for await (const chunk of chunks) decode(chunk);
  decode();
  return text;
}

const late = () => bodyTimedOut(UPLOAD_TIMEOUT_MS / 1000);

async function brokenOff<T>(read: Promise<T>): Promise<T> {
  try {
    return await read;
  } catch (cause) {
    throw bodyBrokeOff(cause);
  }
}

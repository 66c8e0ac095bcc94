/** One POST to an address that a user gave: signed, bounded, and only to where a user may make us call. */
import { urlTooLong } from '@deblur/shared/protocol/errors.ts';
import { WEBHOOK_RESPONSE_MAX_BYTES, WEBHOOK_TIMEOUT_MS, WEBHOOK_URL_MAX_CHARACTERS } from '@deblur/shared/limits.ts';
import { signWebhook, type WebhookHeaders, type WebhookMessage } from '@deblur/shared/protocol/standard-webhooks.ts';
import type { TraceContext } from '@deblur/shared/protocol/trace-context.ts';
import { parseRetryAfter } from '@deblur/shared/net/http.ts';
import { checkUrl, type UrlRules } from '@deblur/shared/net/url-guard.ts';
import type { AttemptError } from './delivery-ports.ts';
import type { AttemptOutcome, WebhookAttempt, WebhookSender } from './ports.ts';

export interface HttpWebhookSenderOptions extends UrlRules {
  /** The tenant's secrets, the current one first. Asked for each attempt: a message that waits is signed by the new one. */
  readonly secrets: () => Promise<readonly string[]>;
  /** Of the request that the messages are about. */
  readonly trace?: () => TraceContext | undefined;
  readonly timeoutMs?: number;
}

/**
 * @throws {DeblurError} `malformed_request`, `forbidden`: for the request that names the address, before anything is done
 */
export function checkWebhookUrl(url: string, rules: UrlRules): void {
  if (url.length > WEBHOOK_URL_MAX_CHARACTERS) throw urlTooLong(WEBHOOK_URL_MAX_CHARACTERS);
  checkUrl(url, rules);
}

/**
 * Names are resolved by the runtime, which does not show the addresses: in production Cloudflare's network has no route to
 * anybody's private one, and locally only `allowOrigins` are reached by http.
 */
export class HttpWebhookSender implements WebhookSender {
  readonly #options: HttpWebhookSenderOptions;

  constructor(options: HttpWebhookSenderOptions) {
    this.#options = options;
  }

  async send({ id, url, body }: WebhookAttempt): Promise<AttemptOutcome> {
    const started = Date.now();
    const failed = (error: AttemptError): AttemptOutcome => ({
      status: null,
      latencyMs: Date.now() - started,
      retryAfterSeconds: null,
      error,
    });
    try {
      checkWebhookUrl(url, this.#options);
    } catch {
      return failed('url_refused');
    }
    const signature = await this.#sign({ id, body, timestamp: Math.floor(started / 1000) });
    if (signature === null) return failed('not_signed');
    const signal = AbortSignal.timeout(this.#options.timeoutMs ?? WEBHOOK_TIMEOUT_MS);
    try {
      const headers = {
        'Content-Type': 'application/json',
        'User-Agent': 'deblur-webhooks/1',
        ...this.#options.trace?.(),
        ...signature,
      };
      // A redirect is an answer like any other, and not a 2xx: what was checked is what is called.
      const response = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal });
      const latencyMs = Date.now() - started;
      await discardBody(response.body);
      const retryAfterSeconds = parseRetryAfter(response.headers.get('retry-after'), Date.now());
      return { status: response.status, latencyMs, retryAfterSeconds, error: null };
    } catch {
      return failed(signal.aborted ? 'timeout' : 'connection_failed');
    }
  }

  /** Null when the tenant's secrets could not be had: the attempt has failed, and the next one asks again. */
  async #sign(message: WebhookMessage): Promise<WebhookHeaders | null> {
    try {
      return await signWebhook(message, await this.#options.secrets());
    } catch {
      return null;
    }
  }
}

/** Nothing of it is kept: the log would show its tenant what stands behind an address. The head has counted already. */
async function discardBody(body: ReadableStream<Uint8Array> | null): Promise<void> {
  if (body === null) return;
  const reader = body.getReader();
  try {
    for (let bytes = 0; bytes < WEBHOOK_RESPONSE_MAX_BYTES;) {
      const { value, done } = await reader.read();
      if (done) return;
      bytes += value.length;
    }
    await reader.cancel();
  } catch {
    // It broke off, or was too slow.
  }
}

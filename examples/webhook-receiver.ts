// Receives the webhooks of predictions. Node 22, no framework:
//
//   WEBHOOK_SECRET=whsec_… PORT=9000 node examples/webhook-receiver.ts
//
// The secret: GET /v1/webhooks/default/secret. While it is rotated, give both, separated by a blank.
// On this machine start the service with ALLOW_ORIGINS=http://127.0.0.1:9000: else it calls nothing but public https.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { verifyWebhook, WebhookVerificationError } from '@deblur/shared/protocol/standard-webhooks.ts';

export interface PredictionEvent {
  readonly type: string;
  readonly id: string;
  readonly status: string;
  readonly output: string | null;
}

export interface ReceiverOptions {
  readonly secrets: readonly string[];
  /** Called once for each message, after it was answered. */
  readonly onEvent: (event: PredictionEvent, webhookId: string) => void | Promise<void>;
  readonly maxBodyBytes?: number;
}

/** Attempts of one message are spread over 27.6 hours; after that its id does not come again. */
const REMEMBER_MS = 30 * 3600 * 1000;

/** Verify, remember, answer, work: in this order. The sender waits 15 s and counts anything but 2xx as a failure. */
export function createReceiver({ secrets, onEvent, maxBodyBytes = 1_000_000 }: ReceiverOptions): Server {
  // One process, so a map will do. With more than one: a unique key in your database, in the transaction that does the work.
  const seen = new Map<string, number>();

  async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'POST') return answer(response, 405);
    const body = await readBody(request, maxBodyBytes);
    if (body === null) return answer(response, 413);
    // Of the bytes as they came: JSON that was parsed and written again is other bytes.
    const { id } = await verifyWebhook(request.headers, body, secrets);
    const repeated = seen.has(id);
    if (!repeated) remember(seen, id);
    answer(response, 204);
    if (repeated) return;
    try {
      await onEvent(JSON.parse(new TextDecoder().decode(body)) as PredictionEvent, id);
    } catch (error) {
      // It was acknowledged and will not come again by itself: POST …/deliveries/{n}/replay, or read the prediction.
      console.error('webhook', id, error);
    }
  }

  return createServer((request, response) => {
    receive(request, response).catch((error: unknown) => {
      if (error instanceof WebhookVerificationError) return answer(response, 401);
      console.error(error);
      answer(response, 500);
    });
  });
}

function remember(seen: Map<string, number>, id: string): void {
  const now = Date.now();
  for (const [old, at] of seen) {
    // A Map keeps the order in which ids came.
    if (now - at < REMEMBER_MS) break;
    seen.delete(old);
  }
  seen.set(id, now);
}

async function readBody(request: IncomingMessage, maxBytes: number): Promise<Uint8Array | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function answer(response: ServerResponse, status: number): void {
  if (!response.headersSent) response.writeHead(status).end();
}

if (import.meta.main) {
  const secrets = (process.env.WEBHOOK_SECRET ?? '').split(' ').filter((secret) => secret !== '');
  if (secrets.length === 0) throw new Error('WEBHOOK_SECRET is not set');
  const onEvent = ({ type, id, status, output }: PredictionEvent): void => console.log(type, id, status, output ?? '');
  const server = createReceiver({ secrets, onEvent });
  server.listen(Number(process.env.PORT ?? 9000), '127.0.0.1', () => console.log('listening', server.address()));
}

/** Where webhooks go: the official library judges each of them, and nothing is believed that it refuses. */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { Webhook } from 'standardwebhooks';

/** One webhook that was genuine. */
export interface Heard {
  readonly webhookId: string;
  readonly traceparent: string | undefined;
  readonly type: string;
  readonly id: string;
  readonly status: string;
  readonly output: string | null;
}

export interface WebhookReceiver {
  readonly origin: string;
  /** By the prediction's id, in the order of arrival. */
  readonly heard: ReadonlyMap<string, readonly Heard[]>;
  /** What came and was not genuine, and why. */
  readonly refused: readonly string[];
  /** Whatever comes before there is a secret is refused. */
  trust(secret: string): void;
  close(): Promise<void>;
}

export async function startWebhookReceiver(): Promise<WebhookReceiver> {
  const heard = new Map<string, Heard[]>();
  const refused: string[] = [];
  let judge: Webhook | undefined;

  async function receive(request: IncomingMessage): Promise<number> {
    const body = await text(request);
    try {
      if (judge === undefined) throw new Error('nobody is trusted yet');
      const said = judge.verify(body, request.headers as Record<string, string>) as Omit<Heard, 'webhookId'>;
      const { 'webhook-id': webhookId, traceparent } = request.headers as Record<string, string>;
      const { type, id, status, output } = said;
      heard.set(id, [...(heard.get(id) ?? []), { webhookId: webhookId!, traceparent, type, id, status, output }]);
      return 204;
    } catch (error) {
      refused.push(String(error));
      return 401;
    }
  }

  const server = createServer((request, response) => {
    void receive(request).then((status) => response.writeHead(status).end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    heard,
    refused,
    trust: (secret) => void (judge = new Webhook(secret)),
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

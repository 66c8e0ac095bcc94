/** The tests' side of the webhook receiver's stand-in. */
import { inject } from 'vitest';
import type { ReceivedWebhook, ScriptedAnswer } from './receiver-stand-in.ts';

export const RECEIVER_ORIGIN = inject('receiverUrl');

export const receiver = {
  url: `${RECEIVER_ORIGIN}/hook`,
  /** Forgets what came, and answers so from now on. */
  answer: async (...script: ScriptedAnswer[]): Promise<void> => {
    await (
      await fetch(`${RECEIVER_ORIGIN}/control`, { method: 'PUT', body: JSON.stringify({ script }) })
    ).arrayBuffer();
  },
  received: async (): Promise<ReceivedWebhook[]> =>
    (await (await fetch(`${RECEIVER_ORIGIN}/control`)).json<{ received: ReceivedWebhook[] }>()).received,
};

/**
 * The queue of work that a runner had no room for. A message names a job; its consumer asks the job to try again. What is
 * refused again is delivered again later, each time later, as long as the job waits: its deadline ends that, not the
 * message. So the queue's retries and its dead letters are left for messages that break their consumer.
 *
 * Backpressure: the first refusal of a batch speaks for all messages of the same placement in it.
 */
import { HEX_SHA256 } from '@deblur/shared/net/digest.ts';
import {
  DISPATCH_MESSAGE_MAX_ATTEMPTS,
  DISPATCH_RETRY_AFTER_MAX_SECONDS,
  DISPATCH_RETRY_MAX_SECONDS,
} from '@deblur/shared/limits.ts';
import { z } from 'zod';
import { storedPlacementSchema, type Placement } from '../results/stored-result.ts';

const messageSchema = z.object({
  restorationKey: z.string().regex(HEX_SHA256),
  placement: storedPlacementSchema,
  /** Of the job's messages since a runner had its work. */
  number: z.int().positive(),
});

export type DispatchMessage = z.infer<typeof messageSchema>;

/** Whether work of the job still waits, and for how long the runner asked. */
export interface DispatchReply {
  readonly refused: boolean;
  readonly retryAfterSeconds?: number;
}

/** The methods of a job's object that its messages call. */
export interface Dispatched {
  dispatch(number: number): Promise<DispatchReply>;
  abandon(): Promise<void>;
}

export interface DispatchPorts {
  readonly jobOf: (restorationKey: string) => Dispatched;
  readonly callBack: (message: DispatchMessage, delaySeconds: number) => Promise<void>;
}

/** Acknowledges or retries each message by itself: one that breaks does not hold up the others. */
export async function consumeDispatches(batch: MessageBatch, ports: DispatchPorts): Promise<void> {
  const refusedFor = new Map<Placement, number | undefined>();
  for (const message of batch.messages) {
    const parsed = messageSchema.safeParse(message.body);
    if (!parsed.success) {
      // Nobody's: there is no job to tell.
      log('malformed_message', message);
      message.ack();
      continue;
    }
    const { restorationKey, placement, number } = parsed.data;
    try {
      if (!refusedFor.has(placement)) {
        const reply = await ports.jobOf(restorationKey).dispatch(number);
        if (!reply.refused) {
          message.ack();
          continue;
        }
        refusedFor.set(placement, reply.retryAfterSeconds);
      }
      const delaySeconds = delayOf(message.attempts, refusedFor.get(placement));
      if (message.attempts < DISPATCH_MESSAGE_MAX_ATTEMPTS) {
        message.retry({ delaySeconds });
        continue;
      }
      // Sent before the old one is acknowledged: in between there may be two, but never none.
      await ports.callBack(parsed.data, delaySeconds);
      message.ack();
    } catch (error) {
      log('dispatch_failed', message, error);
      message.retry({ delaySeconds: delayOf(message.attempts) });
    }
  }
}

/** Messages that broke their consumer too often: their jobs' work is failed. */
export async function consumeDeadLetters(batch: MessageBatch, { jobOf }: DispatchPorts): Promise<void> {
  for (const message of batch.messages) {
    log('dead_letter', message);
    const parsed = messageSchema.safeParse(message.body);
    try {
      if (parsed.success) await jobOf(parsed.data.restorationKey).abandon();
      message.ack();
    } catch (error) {
      log('abandon_failed', message, error);
      message.retry();
    }
  }
}

/** Whole seconds: doubling, half of it by chance, so that what was refused together parts; no sooner than the runner asked for. */
function delayOf(attempts: number, retryAfterSeconds = 0): number {
  const seconds = (Math.min(2 ** (attempts - 1), DISPATCH_RETRY_MAX_SECONDS) * (1 + Math.random())) / 2;
  return Math.ceil(Math.max(seconds, Math.min(retryAfterSeconds, DISPATCH_RETRY_AFTER_MAX_SECONDS)));
}

function log(event: string, { id, attempts }: Message, error?: unknown): void {
  const reason = error === undefined ? {} : { error: String(error) };
  console.warn(JSON.stringify({ level: 'warn', event, message: id, attempts, ...reason }));
}

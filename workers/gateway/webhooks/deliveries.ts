/**
 * The webhooks of one prediction: what is sent, when, and what came of it. It lives in the prediction's object, whose alarm
 * calls `runDue` at `nextAttemptAt`.
 *
 * A receiver gets every event at least once, each under an id of its own, and in order: an event is sent when those before
 * it were sent or given up, and news that are overtaken are not repeated. The last event is never given up before the
 * schedule's end. A receiver that is down changes nothing but this log.
 */
import type { Delivery, DeliveryEvent, DeliveryQueue, DeliveryState, ReplayOutcome } from './delivery-ports.ts';
import { DeliveryTable, type DeliveryClaim } from './delivery-table.ts';
import type { AttemptOutcome, DeliveryPorts } from './ports.ts';
import { nextAttemptAt } from './schedule.ts';

export class Deliveries implements DeliveryQueue {
  readonly #table: DeliveryTable;
  readonly #ports: DeliveryPorts;
  #running: Promise<void> | undefined;

  constructor(sql: SqlStorage, ports: DeliveryPorts) {
    this.#table = new DeliveryTable(sql);
    this.#table.recover();
    this.#ports = ports;
  }

  /** Nothing is sent yet: the caller sets its alarm to `nextAttemptAt`, or calls `runDue`. */
  enqueue(event: DeliveryEvent, now: number): void {
    this.#table.insert(event, now);
    this.#table.supersede();
  }

  /** Milliseconds since the epoch, in the past when it is due; null when nothing waits. */
  nextAttemptAt(): number | null {
    return this.#table.nextAttemptAt();
  }

  /**
   * Sends what is due, one after the other; two calls at once are one. Never throws for what a receiver does. Afterwards the
   * alarm is to be set to `nextAttemptAt` again.
   */
  runDue(now: number): Promise<void> {
    this.#running ??= this.#run(now).finally(() => (this.#running = undefined));
    return this.#running;
  }

  list(): Delivery[] {
    return this.#table.list();
  }

  /** Sends one again, from the beginning of the schedule and under the same id. */
  replay(n: number, now: number): ReplayOutcome {
    if (this.#table.replay(n, now)) return 'replayed';
    return this.#table.isEmptied(n) ? 'gone' : 'unknown';
  }

  /** Of what is over; what is under way keeps its body until it has arrived or was given up, and is to be asked for again. */
  removeBodies(): void {
    this.#table.removeBodies();
  }

  async #run(start: number): Promise<void> {
    let now = start;
    for (let claim = this.#table.claim(now); claim !== undefined; claim = this.#table.claim(now)) {
      const outcome = await this.#ports.sender.send(claim);
      const startedAt = now;
      now += outcome.latencyMs;
      this.#table.finish(claim, outcome, startedAt, this.#after(claim, outcome, now));
      if (outcome.status === 410) this.#table.disable(claim.url);
      this.#ports.stats.count('deblur_deliveries_total', { outcome: outcomeOf(outcome) });
      this.#table.supersede();
    }
  }

  #after(
    { attempt }: DeliveryClaim,
    { status, retryAfterSeconds }: AttemptOutcome,
    now: number,
  ): { readonly state: DeliveryState; readonly nextAttemptAt: number | null } {
    if (isDelivered(status)) return { state: 'delivered', nextAttemptAt: null };
    // Standard Webhooks: the endpoint is gone on purpose.
    if (status === 410) return { state: 'disabled', nextAttemptAt: null };
    const at = nextAttemptAt(attempt, now, retryAfterSeconds, this.#ports.random());
    return at === null ? { state: 'exhausted', nextAttemptAt: null } : { state: 'pending', nextAttemptAt: at };
  }
}

function outcomeOf({ status }: AttemptOutcome): 'delivered' | 'disabled' | 'failed' {
  if (status === 410) return 'disabled';
  return isDelivered(status) ? 'delivered' : 'failed';
}

const isDelivered = (status: number | null): boolean => status !== null && status >= 200 && status < 300;

/**
 * One holder at a time, first come, first served, and a bounded number that wait.
 *
 * A Workers request can vanish at any await, its client gone or its time spent, and then not even `finally` runs. A chain
 * of promises would wait for it for ever. So nobody waits for anybody's promise: each waiter looks for itself whether
 * its turn has come, every look renews its place, and a place not renewed in time is lost.
 */
import { DeblurError } from '@deblur/shared/protocol/errors.ts';

interface Ticket {
  renewedAt: number;
}

export interface QueuePlace {
  /** Says that the holder is alive; at least once in `holderTimeoutMs`. @throws {DeblurError} `runner_failed` when the place was lost */
  renew(): void;
  release(): void;
}

export interface QueueOptions {
  /** Waiting behind the holder; one more is refused. */
  readonly maxWaiting: number;
  readonly pollMs: number;
  /** A waiter not seen for this long is gone. */
  readonly waiterTimeoutMs: number;
  /** A holder that has not renewed for this long is gone. */
  readonly holderTimeoutMs: number;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
}

export class RestoreQueue {
  readonly #options: QueueOptions;
  #holder: Ticket | undefined;
  #waiting: Ticket[] = [];

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  /**
   * @throws {DeblurError} `runner_busy` when the queue is full
   * @throws the signal's reason when it is aborted first
   */
  async acquire(signal?: AbortSignal): Promise<QueuePlace> {
    const { maxWaiting, pollMs, now, sleep } = this.#options;
    this.#dropLost();
    if (this.#holder === undefined && this.#waiting.length === 0) return this.#hold();
    if (this.#waiting.length >= maxWaiting) {
      throw new DeblurError('runner_busy', 'The edge runner has as many pictures waiting as it takes.');
    }
    const ticket: Ticket = { renewedAt: now() };
    this.#waiting.push(ticket);
    try {
      for (;;) {
        await sleep(pollMs);
        signal?.throwIfAborted();
        ticket.renewedAt = now();
        // A long tile keeps everybody from looking: whoever looks first afterwards took the others for gone.
        if (!this.#waiting.includes(ticket)) this.#waiting.push(ticket);
        this.#dropLost();
        if (this.#holder === undefined && this.#waiting[0] === ticket) return this.#hold();
      }
    } finally {
      this.#waiting = this.#waiting.filter((other) => other !== ticket);
    }
  }

  #hold(): QueuePlace {
    const ticket: Ticket = { renewedAt: this.#options.now() };
    this.#holder = ticket;
    return {
      renew: () => {
        if (this.#holder !== ticket) throw new DeblurError('runner_failed', 'The restoration was overtaken.');
        ticket.renewedAt = this.#options.now();
      },
      release: () => {
        if (this.#holder === ticket) this.#holder = undefined;
      },
    };
  }

  #dropLost(): void {
    const { now, waiterTimeoutMs, holderTimeoutMs } = this.#options;
    const time = now();
    if (this.#holder !== undefined && time - this.#holder.renewedAt > holderTimeoutMs) this.#holder = undefined;
    this.#waiting = this.#waiting.filter(({ renewedAt }) => time - renewedAt <= waiterTimeoutMs);
  }
}

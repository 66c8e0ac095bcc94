/** Who follows the tasks of a job, and what they have yet to be told: at least once, in order, until they have taken it. */
import { NOTIFY_RETRY_MAX_MS, NOTIFY_TIMEOUT_MS } from '@deblur/shared/limits.ts';
import type { JobEvent, Subscribers, Subscription } from './ports.ts';
import { withTimeout } from '../with-timeout.ts';

export interface Subscriber {
  readonly subscriberId: string;
  readonly joinedAt: number;
  /** Its joining queued the task. */
  readonly started: boolean;
}

interface SubscriberRow extends Record<string, SqlStorageValue> {
  subscriber_id: string;
  joined_at: number;
  started: number;
}

interface EventRow extends Record<string, SqlStorageValue> {
  sequence: number;
  event: string;
}

interface DueRow extends Record<string, SqlStorageValue> {
  result_key: string;
  subscriber_id: string;
  due_at: number;
}

const NAMED = 'result_key = ? AND subscriber_id = ?';

export class Outbox {
  readonly #sql: SqlStorage;
  readonly #subscribers: Subscribers;
  readonly #now: () => number;
  /** Deliveries under way: one for each subscriber, so that it gets its events in order. The value is what it is being told. */
  readonly #delivering = new Map<string, number>();

  constructor(sql: SqlStorage, subscribers: Subscribers, now: () => number) {
    this.#sql = sql;
    this.#subscribers = subscribers;
    this.#now = now;
  }

  /** False when it follows, or has followed, already. */
  join(key: string, { subscriberId, deadlineAt }: Subscription, started: boolean): boolean {
    const joined = this.#sql.exec(
      `INSERT INTO job_subscriber (result_key, subscriber_id, deadline_at, joined_at, started) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO NOTHING RETURNING sequence`,
      key,
      subscriberId,
      deadlineAt,
      this.#now(),
      Number(started),
    );
    return joined.toArray().length > 0;
  }

  has(key: string, subscriberId: string): boolean {
    return this.#sql.exec(`SELECT 1 FROM job_subscriber WHERE ${NAMED}`, key, subscriberId).toArray().length > 0;
  }

  leave(key: string, subscriberId: string): void {
    this.#sql.exec(`DELETE FROM job_subscriber WHERE ${NAMED}`, key, subscriberId);
    this.#sql.exec(`DELETE FROM job_event WHERE ${NAMED}`, key, subscriberId);
  }

  /** Whether anybody waits for the task's end. */
  isFollowed(key: string): boolean {
    return this.#followers(key).length > 0;
  }

  /** Writes an event for everybody who follows the task; `deliver` sends it. Nothing follows a terminal event. */
  announce(key: string, eventFor: (subscriber: Subscriber) => JobEvent, only?: string): void {
    for (const row of this.#followers(key)) {
      const { subscriber_id: subscriberId, joined_at: joinedAt, started } = row;
      if (only !== undefined && only !== subscriberId) continue;
      this.#append(key, subscriberId, eventFor({ subscriberId, joinedAt, started: started === 1 }));
    }
  }

  /** Tells what is due; resolves when nothing more can be told now. Never rejects. */
  async deliver(): Promise<void> {
    const due = this.#due().filter((row) => row.due_at <= this.#now() && !this.#delivering.has(nameOf(row)));
    await Promise.all(due.map((row) => this.#deliverTo(row)));
  }

  /** When something is due next; null when everything has been taken. */
  nextAt(): number | null {
    // What is under way is looked after in memory; if that is lost, this is when it is tried again.
    const later = this.#now() + 2 * NOTIFY_TIMEOUT_MS;
    const times = this.#due().map((row) => (this.#delivering.has(nameOf(row)) ? later : row.due_at));
    return times.length === 0 ? null : Math.min(...times);
  }

  #followers(key: string): SubscriberRow[] {
    const query = `SELECT subscriber_id, joined_at, started FROM job_subscriber WHERE result_key = ? AND finished = 0`;
    return this.#sql.exec<SubscriberRow>(query, key).toArray();
  }

  #due(): DueRow[] {
    return this.#sql
      .exec<DueRow>(
        `SELECT result_key, subscriber_id, due_at FROM job_subscriber AS s WHERE EXISTS (
           SELECT 1 FROM job_event AS e WHERE e.result_key = s.result_key AND e.subscriber_id = s.subscriber_id)`,
      )
      .toArray();
  }

  #append(key: string, subscriberId: string, event: JobEvent): void {
    if (event.type === 'progress') {
      // Overtaken before it was told; not while it is being told, because a number means one event for ever.
      const told = this.#delivering.get(nameOf({ result_key: key, subscriber_id: subscriberId })) ?? 0;
      this.#sql.exec(
        `DELETE FROM job_event WHERE ${NAMED} AND type = 'progress' AND sequence <> ?`,
        key,
        subscriberId,
        told,
      );
    }
    const terminal = event.type === 'succeeded' || event.type === 'failed';
    const { sequence } = this.#sql
      .exec<{ sequence: number }>(
        `UPDATE job_subscriber SET sequence = sequence + 1, finished = ? WHERE ${NAMED} RETURNING sequence`,
        Number(terminal),
        key,
        subscriberId,
      )
      .one();
    this.#sql.exec(
      'INSERT INTO job_event (result_key, subscriber_id, sequence, type, event) VALUES (?, ?, ?, ?, ?)',
      key,
      subscriberId,
      sequence,
      event.type,
      JSON.stringify(event),
    );
  }

  async #deliverTo(row: DueRow): Promise<void> {
    const { result_key: key, subscriber_id: subscriberId } = row;
    try {
      for (let next = this.#head(row); next !== undefined; next = this.#head(row)) {
        this.#delivering.set(nameOf(row), next.sequence);
        const told = this.#subscribers.notify(subscriberId, key, next.sequence, JSON.parse(next.event) as JobEvent);
        await withTimeout(told, NOTIFY_TIMEOUT_MS, () => new Error('the subscriber does not answer'));
        this.#sql.exec(`DELETE FROM job_event WHERE ${NAMED} AND sequence = ?`, key, subscriberId, next.sequence);
        this.#sql.exec(`UPDATE job_subscriber SET failures = 0, due_at = 0 WHERE ${NAMED}`, key, subscriberId);
      }
    } catch (error) {
      console.warn(
        JSON.stringify({ level: 'warn', event: 'notify_failed', subscriber: subscriberId, error: String(error) }),
      );
      this.#sql.exec(
        `UPDATE job_subscriber SET failures = failures + 1, due_at = ? + min(1000 << min(failures, 20), ?) WHERE ${NAMED}`,
        this.#now(),
        NOTIFY_RETRY_MAX_MS,
        key,
        subscriberId,
      );
    } finally {
      this.#delivering.delete(nameOf(row));
    }
  }

  #head({ result_key: key, subscriber_id: subscriberId }: DueRow): EventRow | undefined {
    return this.#sql
      .exec<EventRow>(
        `SELECT sequence, event FROM job_event WHERE ${NAMED} ORDER BY sequence LIMIT 1`,
        key,
        subscriberId,
      )
      .toArray()[0];
  }
}

const nameOf = ({ result_key, subscriber_id }: Pick<DueRow, 'result_key' | 'subscriber_id'>): string =>
  `${result_key}/${subscriber_id}`;

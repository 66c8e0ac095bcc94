/**
 * A Job over the real SqlStorage of an object, with everything around it in the test's hand: the clock, the alarm, the
 * queue, the store, the subscribers, and both runners.
 */
import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect } from 'vitest';
import { Job } from '../../../workers/gateway/jobs/job.ts';
import type { DispatchMessage, DispatchReply } from '../../../workers/gateway/jobs/dispatch-queue.ts';
import type { JobEvent } from '../../../workers/gateway/jobs/ports.ts';
import type { RemoteState } from '../../../workers/gateway/runners/ports.ts';
import { keyOf, requestFor } from './requests.ts';
import { Shelf, RemoteStandIn, EdgeStandIn, StatsStandIn } from './stand-ins.ts';

export interface Told {
  readonly sequence: number;
  readonly event: JobEvent;
}

/** The composition root derives the bound class just like this. */
class UnboundJob extends Job {}

export class Bench {
  now = 1_000_000_000;
  alarmAt: number | undefined;
  readonly shelf = new Shelf();
  readonly gpu = new RemoteStandIn(this.shelf);
  readonly edge = new EdgeStandIn(this.shelf);
  readonly stats = new StatsStandIn();
  readonly messages: { readonly message: DispatchMessage; readonly delaySeconds: number }[] = [];
  /** What each prediction was told, each number once, as a receiver keeps it. */
  readonly told = new Map<string, Told[]>();
  /** Deliveries, repetitions included. */
  deliveries = 0;
  /** Subscribers that take nothing; `after`: they do, and their answer is lost. */
  deaf: 'before' | 'after' | undefined;
  deleted = 0;
  job: Job;
  readonly #state: DurableObjectState;
  readonly #sql: SqlStorage;
  #pending: Promise<unknown>[] = [];

  constructor(state: DurableObjectState) {
    this.#state = state;
    this.#sql = state.storage.sql;
    this.job = this.restart();
  }

  /** The object dies, and comes back with nothing but its tables. */
  restart(): Job {
    const born = { dead: false };
    this.#kill();
    this.#kill = () => (born.dead = true);
    const alive = <T>(value: T): T => {
      if (born.dead) throw new Error('this object is dead');
      return value;
    };
    this.job = new UnboundJob(
      this.#state,
      env,
      {
        results: this.shelf,
        restorers: { edge: this.edge, runner: this.gpu },
        stats: this.stats,
        subscribers: { notify: (...told) => this.#take(...told) },
        callBack: async (message, delaySeconds) => void this.messages.push({ message, delaySeconds }),
      },
      {
        // What a dead object still has to say reaches nobody.
        sql: new Proxy(this.#sql, {
          get: (sql, name) => (name === 'exec' ? alive(sql.exec.bind(sql)) : Reflect.get(sql, name)),
        }),
        now: () => this.now,
        setAlarm: (at) => (this.alarmAt = alive(at)),
        waitUntil: (work) => this.#pending.push(work.catch(() => undefined)),
        deleteAll: async () => {
          for (const table of ['job_task', 'job_subscriber', 'job_want', 'job_event'])
            this.#sql.exec(`DROP TABLE ${table}`);
          this.alarmAt = undefined;
          this.deleted++;
        },
      },
    );
    return this.job;
  }

  /** Lets everything under way come to its end. */
  async settle(): Promise<void> {
    // Calls to stand-ins and the store resolve within a few turns of the loop.
    for (let turns = 0; turns < 3; turns++) {
      const pending = this.#pending;
      this.#pending = [];
      await Promise.race([Promise.all(pending), new Promise((resolve) => setTimeout(resolve, 1))]);
      this.#pending.push(...pending);
    }
    this.#pending = this.#pending.slice(-200);
  }

  /** Time passes, and alarms go off when they are due. */
  async advance(ms: number): Promise<void> {
    const end = this.now + ms;
    for (let alarms = 0; this.alarmAt !== undefined && this.alarmAt <= end; alarms++) {
      if (alarms > 10_000) throw new Error('the alarm goes off without end');
      this.now = Math.max(this.now, this.alarmAt);
      this.alarmAt = undefined;
      const rung = this.job.alarm().catch(() => undefined);
      await this.settle();
      void rung;
    }
    this.now = Math.max(this.now, end);
  }

  /** The newest message comes. */
  dispatchLast(): Promise<DispatchReply> {
    return this.job.dispatch(this.messages.at(-1)?.message.number ?? 1);
  }

  submit(subscriberId: string, request = requestFor(), lifetimeMs = 3_600_000): { started: boolean } {
    return this.job.submit(request, { subscriberId, deadlineAt: this.now + lifetimeMs });
  }

  /** A callback of the runner, about the attempt in the prediction's name. */
  async callback(said: RemoteState, key = keyOf('png')): Promise<void> {
    const attempt = Number(said.id.split('-')[1]);
    await this.job.report(key, attempt, said);
    await this.settle();
  }

  eventsOf(subscriberId: string): JobEvent['type'][] {
    return (this.told.get(subscriberId) ?? []).map(({ event }) => event.type);
  }

  lastOf(subscriberId: string): JobEvent | undefined {
    return this.told.get(subscriberId)?.at(-1)?.event;
  }

  stateOf(key = keyOf('png')): string | undefined {
    const query = 'SELECT state FROM job_task WHERE result_key = ?';
    return this.#sql.exec<{ state: string }>(query, key).toArray()[0]?.state;
  }

  #kill = (): void => undefined;

  async #take(subscriberId: string, _key: string, sequence: number, event: JobEvent): Promise<void> {
    this.deliveries++;
    if (this.deaf === 'before') throw new Error('the subscriber is away');
    const told = this.told.get(subscriberId) ?? [];
    if ((told.at(-1)?.sequence ?? 0) < sequence) told.push({ sequence, event });
    this.told.set(subscriberId, told);
    if (this.deaf === 'after') throw new Error('the answer is lost');
  }
}

/** Runs a test with a bench over storage of its own. */
export function onBench(test: (bench: Bench) => Promise<void>): () => Promise<void> {
  return () => runInDurableObject(env.JOBS.get(env.JOBS.newUniqueId()), (_, state) => test(new Bench(state)));
}

/** What a subscriber is told at the end. */
export const failed = (code: string) => ({ type: 'failed', error: { code, detail: expect.any(String) } });
export const succeeded = (cache: string) => ({ type: 'succeeded', report: expect.objectContaining({ cache }) });

/** One prediction, handed over and begun by the runner. */
export async function running(bench: Bench): Promise<void> {
  bench.submit('p1');
  await bench.settle();
  await bench.callback(bench.gpu.step('1-1', 'processing'));
}

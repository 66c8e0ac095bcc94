/**
 * One object for each RestorationKey: who holds its results. Letting go is one step with erasing, during which nobody
 * else is heard: whoever acquires before it keeps the bytes there, whoever comes after it finds them gone and makes them
 * anew. Records in a bucket could not do that: between listing the holders and deleting the bytes, another one may come.
 */
import { DurableObject } from 'cloudflare:workers';
import { ERASE_MAX_ATTEMPTS, ERASE_RETRY_MS, RESULT_RETENTION_SECONDS } from '@deblur/shared/limits.ts';
import type { ResultStore } from '../results/ports.ts';
import type { CachePurge } from '../results/cache-purge.ts';
import type { Released, ResultOrigin } from './ports.ts';
import { ReferenceTable, type Erasure } from './reference-table.ts';

export interface ReferencePorts {
  readonly results: Pick<ResultStore, 'delete'>;
  readonly origins: {
    put(origin: ResultOrigin): Promise<void>;
    putErased(resultKey: string): Promise<void>;
  };
  readonly purge: CachePurge;
}

const RETENTION_MS = RESULT_RETENTION_SECONDS * 1000;

/** The composition root derives the class that is bound. */
export abstract class RestorationReferences extends DurableObject<Env> {
  readonly #ports: ReferencePorts;
  readonly #table: ReferenceTable;

  constructor(ctx: DurableObjectState, env: Env, ports: ReferencePorts) {
    super(ctx, env);
    this.#ports = ports;
    this.#table = new ReferenceTable(ctx.storage);
  }

  async acquire(tenant: string, origin: ResultOrigin): Promise<{ own: boolean }> {
    this.#table.create();
    const own = this.#table.isHolder(tenant);
    // Renewed in the second half of its time, with its record in the bucket, whose time began when it was written.
    const renewBefore = Date.now() + RETENTION_MS / 2;
    if (!this.#table.outlasts(origin.request.task.resultKey, tenant, renewBefore)) {
      await this.#hold(tenant, origin, renewBefore);
    }
    return { own };
  }

  /**
   * The record in the bucket comes first: without it the result could not be erased, or would stay erased, and a reference
   * that is there already would keep the next try from writing it. A record that nobody holds does no harm.
   */
  async #hold(tenant: string, origin: ResultOrigin, renewBefore: number): Promise<void> {
    // Nobody else is heard, as in erasing: a release in between would bury what is held a moment later.
    const failure = await this.ctx.blockConcurrencyWhile(async () => {
      const failed = await this.#ports.origins.put(origin).then(
        () => undefined,
        // A value, because what is thrown in here restarts the object under everybody else.
        (cause: unknown) => new Error('the record of the result was not written', { cause }),
      );
      if (failed === undefined) {
        this.#table.hold(origin.request.task.resultKey, tenant, Date.now() + RETENTION_MS, renewBefore);
      }
      await this.#setAlarm();
      return failed;
    });
    if (failure !== undefined) throw failure;
  }

  async derive(from: string, sibling: ResultOrigin): Promise<boolean> {
    this.#table.create();
    if (!this.#table.derive(from, sibling.request.task.resultKey)) return false;
    await this.#ports.origins.put(sibling);
    return true;
  }

  async release(tenant: string | null, resultKey: string, restorationKey: string): Promise<Released | null> {
    this.#table.create();
    await this.ctx.storage.put('restoration', restorationKey);
    const erased = this.#table.release(resultKey, tenant, Date.now());
    await this.#eraseBytes();
    await this.#setAlarm();
    return erased && { erased };
  }

  /** What nobody holds any more has no one to be kept for: work that had begun before it was erased has stored it. */
  async eraseLate(resultKey: string, restorationKey: string): Promise<void> {
    this.#table.create();
    await this.ctx.storage.put('restoration', restorationKey);
    this.#table.eraseUnheld(resultKey, Date.now());
    await this.#eraseBytes();
    await this.#setAlarm();
  }

  /** The caches of the world, which nobody waits for; what failed before; and the end of it all. */
  override async alarm(): Promise<void> {
    this.#table.create();
    this.#table.expire(Date.now());
    await this.#eraseBytes();
    for (const erasure of this.#table.dueErasures('caches', Date.now())) {
      await this.#purge(erasure).catch((error: unknown) => this.#retry(erasure, error));
    }
    await this.#setAlarm();
  }

  #eraseBytes(): Promise<void> {
    return this.ctx.blockConcurrencyWhile(async () => {
      for (const erasure of this.#table.dueErasures('bytes', Date.now())) {
        await this.#erase(erasure).catch((error: unknown) => this.#retry(erasure, error));
      }
    });
  }

  async #erase(erasure: Erasure): Promise<void> {
    const { resultKey } = erasure;
    // Held again since a first attempt failed: then it stays, and only what was cached before goes.
    if (!this.#table.isHeld(resultKey)) {
      await this.#ports.origins.putErased(resultKey);
      await this.#ports.results.delete('result', resultKey);
    }
    const restorationKey = await this.ctx.storage.get<string>('restoration');
    if (this.#table.isEmpty() && restorationKey !== undefined) {
      await this.#ports.results.delete('master', restorationKey);
    }
    this.#table.proceedToCaches(erasure, Date.now());
  }

  async #purge(erasure: Erasure): Promise<void> {
    await this.#ports.purge.purge([`result-${erasure.resultKey}`]);
    this.#table.finish(erasure);
  }

  /** Bytes are erased however long it takes; caches forget by themselves in the end. */
  #retry(erasure: Erasure, error: unknown): void {
    const last = erasure.attempts + 1 >= ERASE_MAX_ATTEMPTS && erasure.stage === 'caches';
    const line = {
      level: 'error',
      event: 'erasure_failed',
      stage: erasure.stage,
      given_up: last,
      error: String(error),
    };
    console.error(JSON.stringify({ ...line, result_key: erasure.resultKey }));
    if (last) this.#table.finish(erasure);
    else
      this.#table.postpone(erasure, Date.now() + ERASE_RETRY_MS * 2 ** Math.min(erasure.attempts, ERASE_MAX_ATTEMPTS));
  }

  async #setAlarm(): Promise<void> {
    const at = this.#table.nextAt();
    if (at !== null) await this.ctx.storage.setAlarm(at);
    else await this.ctx.storage.deleteAll();
  }
}

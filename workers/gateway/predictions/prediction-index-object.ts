/** One object for each tenant: the list of its predictions, and the single door for its idempotency keys. */
import { DurableObject } from 'cloudflare:workers';
import { PREDICTION_PAGE_SIZE, PREDICTION_RETENTION_SECONDS } from '@deblur/shared/limits.ts';
import { IndexTable, type IdempotencyClaim, type IndexCursor, type IndexPage } from './index-table.ts';

/** What has expired is forgotten once a day. */
const PURGE_INTERVAL_MS = 24 * 3600 * 1000;

export class PredictionIndexObject extends DurableObject<Env> {
  readonly #table: IndexTable;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#table = new IndexTable(ctx.storage.sql);
    this.#table.create();
  }

  async add(id: string): Promise<void> {
    this.#table.create();
    this.#table.add(id, Date.now());
    await this.#purgeLater();
  }

  async claim(key: string, fingerprint: string, id: string): Promise<IdempotencyClaim> {
    this.#table.create();
    const claim = this.#table.claim(key, fingerprint, id, Date.now());
    await this.#purgeLater();
    return claim;
  }

  /** The prediction of a claimed key exists: from now on the key means it. */
  settle(key: string, id: string): void {
    this.#table.add(id, Date.now());
    this.#table.settle(key, id, Date.now());
  }

  release(key: string, id: string): void {
    this.#table.release(key, id, Date.now());
  }

  page(cursor: IndexCursor | null): IndexPage {
    return this.#table.page(cursor, PREDICTION_PAGE_SIZE);
  }

  override async alarm(): Promise<void> {
    const now = Date.now();
    if (this.#table.purge(now - PREDICTION_RETENTION_SECONDS * 1000, now)) await this.#purgeLater();
    else await this.ctx.storage.deleteAll();
  }

  async #purgeLater(): Promise<void> {
    if ((await this.ctx.storage.getAlarm()) !== null) return;
    await this.ctx.storage.setAlarm(Date.now() + PURGE_INTERVAL_MS);
  }
}

/** The way from a request to the objects of its tenant. */
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { RETRY_AFTER_SECONDS } from '@deblur/shared/limits.ts';
import { invalidOption } from '@deblur/shared/protocol/options.ts';
import type { Delivery, ReplayOutcome } from '../webhooks/delivery-ports.ts';
import { predictionName } from './prediction-id.ts';
import type {
  CreatedPrediction,
  PredictionCommand,
  PredictionDraft,
  PredictionPage,
  Predictions,
  PredictionSnapshot,
  PredictionSource,
  Repeatable,
} from './ports.ts';
import type { IdempotencyClaim, IndexCursor, IndexPage } from './index-table.ts';
import type { CreateReply } from './prediction-object.ts';

/** The methods of the bound objects that are called from here. */
interface PredictionStub {
  create(command: PredictionCommand): Promise<CreateReply>;
  find(fingerprint: string): Promise<CreateReply | null>;
  read(): Promise<PredictionSnapshot | null>;
  next(after: number | null, ms: number): Promise<PredictionSnapshot | null>;
  cancel(): Promise<PredictionSnapshot | null>;
  deliveries(): Promise<readonly Delivery[] | null>;
  replay(n: number): Promise<ReplayOutcome | null>;
}

interface IndexStub {
  add(id: string): Promise<void>;
  claim(key: string, fingerprint: string, id: string): Promise<IdempotencyClaim>;
  settle(key: string, id: string): Promise<void>;
  release(key: string, id: string): Promise<void>;
  page(cursor: IndexCursor | null): Promise<IndexPage>;
}

export interface PredictionStubs {
  /** A new stub each time: after an error the old one stays broken. */
  prediction(name: string): PredictionStub;
  index(tenantId: string): IndexStub;
}

/** What workerd writes on errors of Durable Objects. */
interface ObjectError extends Error {
  readonly overloaded?: boolean;
}

const MAX_ATTEMPTS = 3;

export class DurablePredictions implements Predictions {
  readonly #stubs: PredictionStubs;

  constructor(stubs: PredictionStubs) {
    this.#stubs = stubs;
  }

  async create(
    draft: PredictionDraft,
    { idempotencyKey, idIsChosen }: Repeatable,
    sourceOf: () => Promise<PredictionSource>,
  ): Promise<CreatedPrediction> {
    if (idempotencyKey !== null) return this.#createOnce(draft, idempotencyKey, sourceOf);
    const { tenantId, id } = draft;
    const found = idIsChosen ? await this.#find(draft) : null;
    const [reply] = await Promise.all([
      found ?? this.#make({ ...draft, source: await sourceOf() }),
      this.#index(tenantId, (stub) => stub.add(id)),
    ]);
    return created(reply);
  }

  /** The key is claimed first and settled last; in between it stands for nothing but "wait". */
  async #createOnce(
    draft: PredictionDraft,
    key: string,
    sourceOf: () => Promise<PredictionSource>,
  ): Promise<CreatedPrediction> {
    const { tenantId, fingerprint } = draft;
    const claim = await this.#index(tenantId, (stub) => stub.claim(key, fingerprint, draft.id));
    if (claim.outcome === 'other_request') throw reused('The idempotency key belongs to another request.');
    if (claim.outcome === 'in_flight') {
      const detail = 'Another request with this idempotency key is being answered.';
      throw new DeblurError('idempotency_conflict', detail, { retryAfterSeconds: 1 });
    }
    const { id } = claim;
    try {
      const named = { ...draft, id };
      // Under another id than the new one an earlier try may have made it.
      const found = id === draft.id ? null : await this.#find(named);
      const reply = found ?? (await this.#make({ ...named, source: await sourceOf() }));
      if (claim.outcome === 'claimed') await this.#index(tenantId, (stub) => stub.settle(key, id));
      return created(reply);
    } catch (error) {
      // Its lease runs out by itself when even this fails.
      await this.#index(tenantId, (stub) => stub.release(key, id)).catch(() => undefined);
      throw error;
    }
  }

  #find({ tenantId, id, fingerprint }: PredictionDraft): Promise<CreateReply | null> {
    return this.#prediction(tenantId, id, (stub) => stub.find(fingerprint));
  }

  #make(command: PredictionCommand): Promise<CreateReply> {
    return this.#prediction(command.tenantId, command.id, (stub) => stub.create(command));
  }

  read(tenantId: string, id: string): Promise<PredictionSnapshot | null> {
    return this.#prediction(tenantId, id, (stub) => stub.read());
  }

  next(tenantId: string, id: string, after: number | null, ms: number): Promise<PredictionSnapshot | null> {
    return this.#prediction(tenantId, id, (stub) => stub.next(after, ms));
  }

  cancel(tenantId: string, id: string): Promise<PredictionSnapshot | null> {
    return this.#prediction(tenantId, id, (stub) => stub.cancel());
  }

  deliveries(tenantId: string, id: string): Promise<readonly Delivery[] | null> {
    return this.#prediction(tenantId, id, (stub) => stub.deliveries());
  }

  replay(tenantId: string, id: string, n: number): Promise<ReplayOutcome | null> {
    return this.#prediction(tenantId, id, (stub) => stub.replay(n));
  }

  /** Each from its own object, so that a list never shows a state that is over. */
  async list(tenantId: string, cursor: string | null): Promise<PredictionPage> {
    const beside = parseCursor(cursor);
    const page = await this.#index(tenantId, (stub) => stub.page(beside));
    const snapshots = await Promise.all(page.ids.map((id) => this.read(tenantId, id)));
    return {
      previous: page.newer && page.newest !== null ? `n${page.newest}` : null,
      next: page.older && page.oldest !== null ? `o${page.oldest}` : null,
      results: snapshots.flatMap((snapshot) => (snapshot === null ? [] : [snapshot.prediction])),
    };
  }

  #prediction<T>(tenantId: string, id: string, call: (stub: PredictionStub) => Promise<T>): Promise<T> {
    return repeated(() => call(this.#stubs.prediction(predictionName(tenantId, id))));
  }

  #index<T>(tenantId: string, call: (stub: IndexStub) => Promise<T>): Promise<T> {
    return repeated(() => call(this.#stubs.index(tenantId)));
  }
}

/** A deployment or a crash in the middle; every one of these calls is idempotent, so it may be made again. */
async function repeated<T>(call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (attempt < MAX_ATTEMPTS && (error as ObjectError).overloaded !== true) continue;
      throw new DeblurError('runner_unavailable', 'The prediction could not be reached.', {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
        cause: error,
      });
    }
  }
}

function created(reply: CreateReply): CreatedPrediction {
  if (reply.outcome === 'conflict') throw reused('A prediction with this id was created by another request.');
  return { snapshot: reply.snapshot, created: reply.outcome === 'created' };
}

const reused = (detail: string): DeblurError => new DeblurError('idempotency_key_reused', detail);

/** `n` or `o` and a position: newer or older than it. */
function parseCursor(cursor: string | null): IndexCursor | null {
  if (cursor === null) return null;
  const [, side, position] = /^([no])(\d{1,15})$/.exec(cursor) ?? [];
  if (position === undefined) throw invalidOption('cursor', 'is none of ours');
  return { side: side === 'n' ? 'newer' : 'older', position: Number(position) };
}

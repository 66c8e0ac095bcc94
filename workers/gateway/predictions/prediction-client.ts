/** The way from a request to the objects of its tenant. */
import {
  idempotencyKeyInFlight,
  idempotencyKeyReused,
  invalidCursor,
  predictionIdReused,
} from '@deblur/shared/protocol/errors.ts';
import { callObject, type Namespace, type Stub } from '../call-object.ts';
import type { Delivery, ReplayOutcome } from '../webhooks/delivery-ports.ts';
import type { IndexCursor } from './index-table.ts';
import type {
  CreatedPrediction,
  PredictionCommand,
  PredictionDraft,
  PredictionPage,
  Predictions,
  PredictionSnapshot,
  Repeatable,
  Reservation,
} from './ports.ts';
import { predictionName } from './prediction-id.ts';
import type { PredictionIndexObject } from './prediction-index-object.ts';
import type { CreateReply, PredictionResource } from './prediction-object.ts';

export interface PredictionNamespaces {
  readonly predictions: Namespace<PredictionResource>;
  readonly index: Namespace<PredictionIndexObject>;
}

export class DurablePredictions implements Predictions {
  readonly #namespaces: PredictionNamespaces;

  constructor(namespaces: PredictionNamespaces) {
    this.#namespaces = namespaces;
  }

  /** A key is claimed here and settled by `create`; in between it stands for nothing but "wait". */
  async reserve(draft: PredictionDraft, { idempotencyKey, idIsChosen }: Repeatable): Promise<Reservation> {
    const { tenantId, fingerprint } = draft;
    if (idempotencyKey === null) return idIsChosen ? this.#found(draft) : { kind: 'new', id: draft.id };
    const claim = await this.#index(tenantId, (stub) => stub.claim(idempotencyKey, fingerprint, draft.id));
    if (claim.outcome === 'other_request') throw idempotencyKeyReused();
    if (claim.outcome === 'in_flight') throw idempotencyKeyInFlight(1);
    const { id } = claim;
    // Under another id than the draft's an earlier attempt may have made it.
    const reserved = id === draft.id ? { kind: 'new' as const, id } : await this.#found({ ...draft, id });
    if (reserved.kind === 'existing') await this.#settle(tenantId, idempotencyKey, id);
    return reserved;
  }

  async create(command: PredictionCommand, { idempotencyKey }: Repeatable): Promise<CreatedPrediction> {
    const { tenantId, id } = command;
    const [reply] = await Promise.all([
      this.#prediction(tenantId, id, (stub) => stub.create(command)),
      idempotencyKey === null ? this.#index(tenantId, (stub) => stub.add(id)) : undefined,
    ]);
    if (idempotencyKey !== null) await this.#settle(tenantId, idempotencyKey, id);
    return { snapshot: snapshotOf(reply), created: reply.outcome === 'created' };
  }

  async release({ tenantId, id }: PredictionDraft, { idempotencyKey }: Repeatable): Promise<void> {
    if (idempotencyKey === null) return;
    // The claim runs out by itself when even this fails.
    await this.#index(tenantId, (stub) => stub.release(idempotencyKey, id)).catch(() => undefined);
  }

  async #found({ tenantId, id, fingerprint }: PredictionDraft): Promise<Reservation> {
    const reply = await this.#prediction(tenantId, id, (stub) => stub.find(fingerprint));
    if (reply === null) return { kind: 'new', id };
    const snapshot = snapshotOf(reply);
    await this.#index(tenantId, (stub) => stub.add(id));
    return { kind: 'existing', snapshot };
  }

  #settle(tenantId: string, key: string, id: string): Promise<void> {
    return this.#index(tenantId, (stub) => stub.settle(key, id));
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

  #prediction<T>(tenantId: string, id: string, call: (stub: Stub<PredictionResource>) => Promise<T>): Promise<T> {
    return callObject(this.#namespaces.predictions, predictionName(tenantId, id), 'prediction', call);
  }

  #index<T>(tenantId: string, call: (stub: Stub<PredictionIndexObject>) => Promise<T>): Promise<T> {
    return callObject(this.#namespaces.index, tenantId, 'list of predictions', call);
  }
}

function snapshotOf(reply: CreateReply): PredictionSnapshot {
  if (reply.outcome === 'conflict') throw predictionIdReused();
  return reply.snapshot;
}

/** `n` or `o` and a position: newer or older than it. */
function parseCursor(cursor: string | null): IndexCursor | null {
  if (cursor === null) return null;
  const [, side, position] = /^([no])(\d{1,15})$/.exec(cursor) ?? [];
  if (position === undefined) throw invalidCursor();
  return { side: side === 'n' ? 'newer' : 'older', position: Number(position) };
}

/** Which models this runner serves: each is tried when the runner starts, and its speed measured. */
import { sessionFailed } from '@deblur/shared/protocol/errors.ts';
import type { ModelManifest } from '@deblur/shared/protocol/model-manifest.ts';
import type { Log } from '../ops/log.ts';
import type { SessionPool } from './session-pool.ts';
import type { Sessions } from './sessions.ts';
import { newTile } from './shared-tile.ts';

export class ModelOffers {
  readonly #models: ModelManifest[] = [];
  readonly #refused = new Map<string, string>();
  readonly #secondsPerMegapixel = new Map<string, number>();

  /**
   * Opens the sessions of the best model, and of the others as far as the budget goes. A model that cannot run here is refused by
   * name, and the others are offered.
   * @param models the best first
   * @throws what the last failure was, when no model can run
   */
  static async prepare(models: readonly ModelManifest[], sessions: Sessions, log: Log): Promise<ModelOffers> {
    const offers = new ModelOffers();
    let failure: unknown = sessionFailed('there is none');
    for (const model of models) {
      try {
        assertMemoryFor(model, sessions);
        const isFirst = offers.#models.length === 0;
        if (isFirst || sessions.hasRoomForAnother)
          offers.#secondsPerMegapixel.set(model.name, await trial(model, sessions));
        offers.#models.push(model);
      } catch (error) {
        failure = error;
        const reason = error instanceof Error ? error.message : String(error);
        offers.#refused.set(model.name, reason);
        log.error('model_refused', error, { model: model.name, reason });
      }
    }
    const [best] = offers.#models;
    if (best === undefined) throw failure;
    // As the one that was used last it stays open longest.
    (await sessions.acquire(best, 'uint8')).release();
    return offers;
  }

  /** The best first. */
  get models(): readonly ModelManifest[] {
    return this.#models;
  }

  /** Models that cannot run here, by name, and why. */
  get refused(): ReadonlyMap<string, string> {
    return this.#refused;
  }

  /** @returns undefined where there was no room to measure it */
  secondsPerMegapixel({ name }: ModelManifest): number | undefined {
    return this.#secondsPerMegapixel.get(name);
  }
}

/** @throws {Error} when the model says that it needs more than this runner may take or has */
function assertMemoryFor({ memory_bytes: ofOneSession = 0 }: ModelManifest, sessions: Sessions): void {
  const needed = ofOneSession * sessions.workers;
  const free = Math.min(sessions.budget, sessions.provider.used === 'cpu' ? process.availableMemory() : Infinity);
  if (needed <= free) return;
  const megabytes = (bytes: number): number => Math.round(bytes / 1e6);
  throw new Error(`its sessions need ${megabytes(needed)} MB of memory, and ${megabytes(free)} MB are free`);
}

/** @returns seconds for a megapixel */
async function trial(model: ModelManifest, sessions: Sessions): Promise<number> {
  const lease = await sessions.acquire(model, 'uint8');
  try {
    return await speedOf(lease.pool, model, sessions);
  } finally {
    lease.release();
  }
}

/**
 * Runs blank tiles on every session at once. On a CPU the processor time counts, which other programs disturb little, and not
 * the time of the clock.
 * @returns seconds for a megapixel of a large picture, whose tiles overlap, on a machine that does nothing else
 */
async function speedOf(pool: SessionPool, model: ModelManifest, sessions: Sessions): Promise<number> {
  const { size, overlap } = model.tile;
  const tiles = Array.from({ length: sessions.workers * sessions.batchSize(model) }, () =>
    newTile('uint8', size, size),
  );
  const started = performance.now();
  const used = process.cpuUsage();
  await Promise.all(tiles.map((blank) => pool.run(blank, tiles)));
  const { user, system } = process.cpuUsage(used);
  const onCpu = sessions.provider.used === 'cpu';
  const seconds = onCpu ? (user + system) / 1e6 / sessions.cores : (performance.now() - started) / 1000;
  return seconds / ((tiles.length * (size - overlap) ** 2) / 1e6);
}

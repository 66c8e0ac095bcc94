/** What an isolate holds: one queue, one codec memory, one session. */
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { EDGE_QUEUE_MAX, EDGE_RESTORE_TIMEOUT_MS } from '@deblur/shared/limits.ts';
import { tilingOf, type ModelManifest } from '@deblur/shared/protocol/model-manifest.ts';
import type { ModelName } from '@deblur/shared/protocol/options.ts';
import type { EdgeRestoreRequest, EdgeRunnerApi } from '@deblur/shared/protocol/runner-api.ts';
import { EdgeSession } from './edge-session.ts';
import { loadModelFiles } from './model-files.ts';
import { acceptedHeader, encodeMaster, restorePicture, type RestoredPicture } from './restore-picture.ts';
import { RestoreQueue, type QueuePlace } from './restore-queue.ts';
import { assertEncodable, WasmCodec } from './wasm-codec.ts';

/** The one model whose session fits an isolate. */
const EDGE_MODEL: ModelName = 'dhnet-edge';

/** Often enough not to be felt beside a tile, seldom enough to cost nothing. */
const QUEUE_POLL_MS = 20;

/** Many times the longest step between two renewals (a session's creation, a tile, an encoding: seconds on a busy machine). */
const LEASE_TIMEOUT_MS = 30_000;

interface LoadedModel {
  readonly manifest: ModelManifest;
  readonly session: EdgeSession;
}

type EncodeRequest = Parameters<EdgeRunnerApi['encode']>[0];

export class EdgeIsolate {
  readonly #codec = new WasmCodec();
  readonly #queue = new RestoreQueue({
    maxWaiting: EDGE_QUEUE_MAX,
    pollMs: QUEUE_POLL_MS,
    waiterTimeoutMs: LEASE_TIMEOUT_MS,
    holderTimeoutMs: LEASE_TIMEOUT_MS,
    now: () => Date.now(),
    sleep: (ms) => scheduler.wait(ms),
  });
  #model: LoadedModel | undefined;

  async restore(
    assets: Fetcher,
    { source, model, modelVersion, encoding, workingScale = 'auto' }: EdgeRestoreRequest,
  ): Promise<RestoredPicture> {
    const header = acceptedHeader(source);
    assertEncodable(header, encoding.format);
    return this.#exclusively(async (place, signal) => {
      const { manifest, session } = await this.#loaded(assets, place);
      if (model !== manifest.name || modelVersion !== manifest.version) {
        throw new DeblurError('model_unavailable', 'The edge runner has another model or another version of it.');
      }
      const tiling = tilingOf(manifest);
      const checkpoint = (): void => place.renew();
      const tools = { codec: this.#codec, session, tiling, signal, checkpoint, workingScale };
      return restorePicture(source, header, encoding, tools);
    });
  }

  /** Takes its turn like a restoration: the codecs' memory is one. */
  async encode({ master, encoding }: EncodeRequest): Promise<Uint8Array> {
    const header = acceptedHeader(master);
    assertEncodable(header, encoding.format);
    return this.#exclusively(() => encodeMaster(master, header, encoding, this.#codec));
  }

  /** Resolves once the session exists. @throws {DeblurError} why it does not */
  async ready(assets: Fetcher): Promise<void> {
    if (this.#model !== undefined) return;
    await this.#exclusively((place) => this.#loaded(assets, place));
  }

  async #exclusively<Result>(use: (place: QueuePlace, signal: AbortSignal) => Promise<Result>): Promise<Result> {
    const signal = AbortSignal.timeout(EDGE_RESTORE_TIMEOUT_MS);
    try {
      const place = await this.#queue.acquire(signal);
      try {
        return await use(place, signal);
      } finally {
        place.release();
      }
    } catch (error) {
      if (error !== signal.reason) throw error;
      throw new DeblurError('deadline_exceeded', 'The edge runner did not finish in time.');
    }
  }

  /** Creates the session at first use. A failure is not kept: the next request tries again. */
  async #loaded(assets: Fetcher, place: QueuePlace): Promise<LoadedModel> {
    if (this.#model === undefined) {
      const { manifest, weights } = await loadModelFiles(assets, EDGE_MODEL);
      place.renew();
      this.#model = { manifest, session: await EdgeSession.create(weights) };
      place.renew();
    }
    return this.#model;
  }
}

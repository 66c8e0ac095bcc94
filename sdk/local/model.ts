/** The model that is packed beside this file, in ONNX Runtime on the CPU. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import {
  manifestSchema,
  variantOf,
  type ModelManifest,
  type VariantId,
} from '@deblur/shared/protocol/model-manifest.ts';
import type { Tile, TileSession } from '@deblur/shared/pixels/ports.ts';
import { InferenceSession, Tensor } from 'onnxruntime-node';

/** The build puts it there. */
const FOLDER = path.join(path.dirname(fileURLToPath(import.meta.url)), 'models/dhnet-edge');

export class LocalModel {
  readonly manifest: ModelManifest;
  /** Opened when the first picture needs one: 16-bit pictures run in `float32`, all others in `uint8`. */
  readonly #sessions = new Map<VariantId, Promise<TileSession>>();

  private constructor(manifest: ModelManifest) {
    this.manifest = manifest;
  }

  static async open(): Promise<LocalModel> {
    const text = await readFile(path.join(FOLDER, 'manifest.json'), 'utf8');
    return new LocalModel(manifestSchema.parse(JSON.parse(text)));
  }

  session(id: VariantId): Promise<TileSession> {
    let session = this.#sessions.get(id);
    if (session === undefined) {
      session = openSession(this.manifest, id);
      this.#sessions.set(id, session);
    }
    return session;
  }
}

async function openSession(manifest: ModelManifest, id: VariantId): Promise<TileSession> {
  const { file, input, output } = variantOf(manifest, id);
  const session = await InferenceSession.create(path.join(FOLDER, file), { logSeverityLevel: 3 });
  return {
    async run<Samples extends Uint8Array | Float32Array>(tile: Tile<Samples>): Promise<Tile<Samples>> {
      const { width, height, data } = tile;
      const given = new Tensor(input.type, data, [1, height, width, 3]);
      const outputs = await session.run({ [input.name]: given }).catch((cause: unknown) => {
        throw new DeblurError('runner_failed', 'The network failed on a tile.', { cause });
      });
      const restored = outputs[output.name]?.data;
      if (restored?.constructor !== data.constructor) {
        throw new DeblurError('runner_failed', 'The network returned no picture.');
      }
      return { width, height, data: restored as Samples };
    },
  };
}

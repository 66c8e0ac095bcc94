/**
 * The manifest that lies beside a model's ONNX files: what they take, what they are, how well they restore.
 * `python -m dhnet export` writes it, `evaluate` adds the measured figures; nothing else does.
 */
import { z } from 'zod';
import { HEX_SHA256 } from '../net/digest.ts';
import { MAX_TILE_PIXELS, MIN_TILE_PIXELS, TILE_STEP_PIXELS } from '../limits.ts';
import type { TilingOptions } from '../pixels/tiling.ts';
import { modelNameSchema } from './options.ts';

const sha256 = z.string().regex(HEX_SHA256);
const quality = z.object({ psnr: z.number(), ssim: z.number() });
const tensor = z.object({ name: z.string(), type: z.enum(['uint8', 'float32']), layout: z.literal('NHWC') });

/** A file beside the manifest, or to be fetched to there. */
const fileShape = {
  file: z.string().regex(/^[a-z0-9][a-z0-9._-]*$/),
  sha256,
  bytes: z.int().positive(),
  /** Where it is fetched from when it is not there. Without it, and with a manifest that was fetched itself: beside that. */
  url: z.url().optional(),
};

export const variantSchema = z
  .object({
    ...fileShape,
    /**
     * `uint8`: bytes in and out. `float32`: [0, 1] in and out, for 16-bit pictures and providers without uint8. The same with
     * `-float16`: computed in float16, for GPUs. `uint8-single`: one tile a run, a seventh faster in WebAssembly (the experts'
     * kernels are mixed at run time) and slower natively; not every network has it.
     */
    id: z.enum(['uint8', 'float32', 'uint8-float16', 'float32-float16', 'uint8-single']),
    file: z.string().regex(/^[a-z0-9.-]+\.onnx$/),
    /** Files that the graph refers to by name (ONNX external data), in its folder. */
    external_data: z.array(z.object(fileShape)).optional(),
    dtype: z.enum(['float32', 'float16']),
    weights_dtype: z.enum(['float32', 'float16', 'int8']),
    input: tensor,
    output: tensor,
  })
  .refine(
    ({ id, input, dtype }) =>
      id.replace('-single', '') === (dtype === 'float16' ? `${input.type}-float16` : input.type),
    'id does not say what the variant takes and computes in',
  );

const manifestShape = z.object({
  schema_version: z.literal(1),
  name: modelNameSchema.refine((name) => name !== 'auto' && name !== 'best', 'is a choice and not a model'),
  version: sha256,
  paper: z.string(),
  parameters: z.int().positive(),
  /** Convolution multiply-accumulates of one 256×256 tile. */
  macs_256: z.int().positive(),
  /** Price of a megapixel, where `dhnet-edge` costs 1; without it, see `costOf`. */
  cost: z.number().positive().optional(),
  opset: z.int().min(17),
  /** Height and width of every tile are multiples of this. */
  pad_multiple: z.int().positive(),
  tile: z.object({
    size: z.int().min(MIN_TILE_PIXELS),
    /** Largest side that a caller may ask for: beyond it the network's pooling sees more than it was trained on. */
    max: z.int().default(MAX_TILE_PIXELS),
    /** Every tile is `size` × `size`: a smaller picture is continued by reflection, and no other side may be asked for. */
    fixed: z.boolean().default(false),
    /** Tiles start at multiples of this. */
    align: z.int().positive().default(1),
    // Of larger overlaps three tiles would meet (tiling.ts), in the smallest tile that a caller may ask for.
    overlap: z
      .int()
      .positive()
      .max(Math.floor(MIN_TILE_PIXELS / 3)),
  }),
  /** Largest batch the graph takes; null: any. */
  max_batch: z.int().positive().nullable(),
  /** Of one session that runs one tile on a CPU, as measured; a runner that has less refuses the model. */
  memory_bytes: z.int().positive().optional(),
  variants: z.array(variantSchema).min(1),
  /** The trained weights themselves, which DHNet's own kernels read (kernels/). */
  checkpoint: z.object(fileShape).optional(),
  /** The frozen network whose maps the model reads, the digest of its weights, and where they came from. */
  prior: z
    .object({
      network: z.enum(['nafnet', 'ufpnet', 'maxim']),
      sha256,
      stages: z.int().positive().optional(),
      paper: z.string().optional(),
      source: z.string().optional(),
      licence: z.string().optional(),
    })
    .optional(),
  /** Tiles at the end of a small picture are smaller: a graph for one size only does not restore them. */
  input_shape: z
    .undefined({ error: 'is of a graph for one size only: export it without --fixed and --batch' })
    .optional(),
  /** Null: the weights are random, and the model is not offered. */
  trained: z
    .union([
      // By us.
      z.object({ patches: z.int(), seconds: z.number(), device: z.string(), config: z.string() }).loose(),
      // By others, who published their weights.
      z.object({ source: z.string(), sha256, licence: z.string() }).loose(),
    ])
    .nullable(),
  measured: z.array(z.object({ set: z.string(), images: z.int(), input: quality, output: quality }).loose()),
});

export const manifestSchema = manifestShape
  .refine((m) => m.tile.size % m.pad_multiple === 0, 'tile.size is not a multiple of pad_multiple')
  .refine(
    ({ tile, pad_multiple: multiple }) => tile.fixed || TILE_STEP_PIXELS % multiple === 0,
    'pad_multiple does not divide every tile that may be asked for',
  )
  .refine(
    ({ tile: { size, overlap, align } }) => size % align === 0 && (size - overlap) % align === 0,
    'tile.align does not divide tile.size and tile.size - tile.overlap',
  )
  .refine(({ tile }) => tile.size <= tile.max, 'tile.size is larger than tile.max')
  .refine((m) => new Set(m.variants.map(({ id }) => id)).size === m.variants.length, 'two variants have the same id');

/** What is said of a model to those who do not run it. */
export const modelFactsSchema = manifestShape.omit({ variants: true, checkpoint: true });

export type ModelManifest = z.infer<typeof manifestSchema>;
export type ModelFacts = z.infer<typeof modelFactsSchema>;
export type ModelVariant = z.infer<typeof variantSchema>;
/** A file that a model is made of, and where it may be fetched. */
export type ModelFile = Pick<ModelVariant, keyof typeof fileShape>;
/** The variants that run everywhere, each named by its samples; the others come on top. */
export type VariantId = Extract<ModelVariant['id'], 'uint8' | 'float32'>;

/** `macs_256` of dhnet-edge, whose megapixel costs 1. */
const UNIT_MACS = 1_735_028_928;

/** Price of a megapixel: what the manifest says, or the network's work in whole units of dhnet-edge's. */
export function costOf({ cost, macs_256 }: ModelFacts): number {
  return cost ?? Math.max(1, Math.round(macs_256 / UNIT_MACS));
}

/** How a picture is cut. @param size a side in pixels that the model takes (`takesTile`) */
export function tilingOf({ tile, pad_multiple }: ModelFacts, size = tile.size): TilingOptions {
  const { overlap, align, fixed } = tile;
  return { size, overlap, align, padMultiple: fixed ? size : pad_multiple };
}

/** Whether a caller may ask for tiles of this side. */
export function takesTile({ tile, pad_multiple }: ModelFacts, side: number): boolean {
  const { size, overlap, max, fixed, align } = tile;
  if (fixed) return side === size;
  return side >= 3 * overlap && side <= max && side % pad_multiple === 0 && (side - overlap) % align === 0;
}

/** @throws {Error} when the manifest lacks the variant: a broken export, not a user's fault */
export function variantOf(manifest: ModelManifest, id: VariantId): ModelVariant {
  const variant = manifest.variants.find((candidate) => candidate.id === id);
  if (variant === undefined) throw new Error(`model ${manifest.name} has no ${id} variant`);
  return variant;
}

/** The variant of bytes that is fastest in WebAssembly, one tile a run. @throws {Error} as `variantOf` */
export function wasmVariantOf(manifest: ModelManifest): ModelVariant {
  return manifest.variants.find(({ id }) => id === 'uint8-single') ?? variantOf(manifest, 'uint8');
}

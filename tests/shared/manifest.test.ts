import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  costOf,
  manifestSchema,
  variantOf,
  wasmVariantOf,
  type ModelManifest,
} from '@deblur/shared/protocol/model-manifest.ts';
import { describe, expect, it } from 'vitest';

const valid: ModelManifest = {
  schema_version: 1,
  name: 'dhnet-edge',
  version: '1'.repeat(64),
  paper: 'DHNet',
  parameters: 1_000_000,
  macs_256: 1_900_000_000,
  opset: 17,
  pad_multiple: 16,
  tile: { size: 256, overlap: 32, max: 1024, fixed: false, align: 1 },
  max_batch: null,
  variants: [
    {
      id: 'uint8',
      file: 'dhnet-edge.uint8.onnx',
      sha256: '2'.repeat(64),
      bytes: 4_000_000,
      dtype: 'float32',
      weights_dtype: 'float32',
      input: { name: 'input', type: 'uint8', layout: 'NHWC' },
      output: { name: 'output', type: 'uint8', layout: 'NHWC' },
    },
  ],
  trained: null,
  measured: [],
};

/** A copy with one thing set to another value, or removed. */
function changed(path: string, value: unknown): unknown {
  const copy: Record<string, unknown> = structuredClone(valid) as Record<string, unknown>;
  const keys = path.split('.');
  let at: Record<string, unknown> = copy;
  for (const key of keys.slice(0, -1)) at = at[key] as Record<string, unknown>;
  if (value === undefined) Reflect.deleteProperty(at, keys.at(-1)!);
  else at[keys.at(-1)!] = value;
  return copy;
}

describe('the manifest schema', () => {
  it('takes a complete manifest, trained or not', () => {
    expect(manifestSchema.parse(valid)).toEqual(valid);
    const trained = { patches: 100, seconds: 5.5, device: 'cpu', config: 'dhnet-edge', commit: 'abc' };
    const quality = { psnr: 30, ssim: 0.9 };
    const measured = [{ set: 'reds', images: 3, input: quality, output: quality }];
    expect(manifestSchema.parse({ ...valid, trained, measured })).toEqual({ ...valid, trained, measured });
  });

  it('takes tiles as most models have them where the manifest says no more', () => {
    expect(manifestSchema.parse({ ...valid, tile: { size: 256, overlap: 32 } })).toEqual(valid);
  });

  it('prices a megapixel by the work of the network, unless it says another price', () => {
    expect(costOf(valid)).toBe(1);
    expect(costOf({ ...valid, macs_256: 1_000_000 })).toBe(1);
    expect(costOf({ ...valid, macs_256: 19_252_015_296 })).toBe(11);
    expect(costOf({ ...valid, cost: 2.5 })).toBe(2.5);
  });

  it('takes fixed tiles whose size alone is a multiple of pad_multiple', () => {
    const tile = { size: 256, overlap: 32, max: 256, fixed: true, align: 16 };
    expect(manifestSchema.safeParse({ ...valid, tile, pad_multiple: 64 }).success).toBe(true);
  });

  it('takes weights that others trained and published', () => {
    const trained = { source: 'https://example.com/nafnet.pth', sha256: '3'.repeat(64), licence: 'MIT' };
    expect(manifestSchema.parse({ ...valid, trained }).trained).toEqual(trained);
  });

  it.each(Object.keys(valid))('refuses a manifest without %s', (key) => {
    expect(manifestSchema.safeParse(changed(key, undefined)).success).toBe(false);
  });

  it.each([
    ['schema_version', 2],
    ['name', 'DHNet'],
    ['name', 'a/b'],
    ['name', '-'],
    ['name', 'best'],
    ['version', '1'.repeat(63)],
    ['version', 'G'.repeat(64)],
    ['parameters', -1],
    ['opset', 16],
    ['pad_multiple', 0],
    ['pad_multiple', 48],
    ['pad_multiple', 64],
    ['tile.size', 250],
    ['tile.size', 96],
    ['tile.overlap', 0],
    ['tile.overlap', 43],
    ['tile.max', 128],
    ['tile.align', 48],
    ['tile.align', 64],
    ['cost', 0],
    ['max_batch', 0],
    ['variants', []],
    ['variants', [valid.variants[0], valid.variants[0]]],
    ['variants.0.id', 'int4'],
    ['variants.0.id', 'float32'],
    ['variants.0.id', 'uint8-float16'],
    ['variants.0.external_data', [{ file: '../prior.bin', sha256: '3'.repeat(64), bytes: 1 }]],
    ['variants.0.external_data', [{ file: 'prior.bin', sha256: '3'.repeat(64) }]],
    ['variants.0.url', 'prior.bin'],
    ['prior', { network: 'resnet', sha256: '3'.repeat(64) }],
    ['input_shape', [1, 256, 256, 3]],
    ['variants.0.file', '../../etc/passwd'],
    ['variants.0.file', 'https://elsewhere/a.onnx'],
    ['variants.0.sha256', 'short'],
    ['variants.0.bytes', 0],
    ['variants.0.dtype', 'bfloat16'],
    ['variants.0.input.layout', 'NCHW'],
    ['variants.0.output.type', 'int8'],
    ['trained', { patches: 1 }],
    ['trained', { source: 'https://example.com/nafnet.pth', sha256: '3'.repeat(64) }],
    ['measured', [{ set: 'x', images: 1, input: { psnr: 1 }, output: { psnr: 1, ssim: 1 } }]],
  ])('refuses %s = %j', (path, value) => {
    expect(manifestSchema.safeParse(changed(path, value)).success).toBe(false);
  });

  it('finds variants by name', () => {
    expect(variantOf(valid, 'uint8').file).toBe('dhnet-edge.uint8.onnx');
    expect(() => variantOf(valid, 'float32')).toThrow('no float32 variant');
  });

  it('has WebAssembly run one tile at a time where there is a variant for that', () => {
    const [bytes] = valid.variants;
    const single = { ...bytes!, id: 'uint8-single' as const, file: 'dhnet-edge.uint8-single.onnx' };
    const both = manifestSchema.parse({ ...valid, variants: [bytes, single] });
    expect(wasmVariantOf(both).id).toBe('uint8-single');
    expect(variantOf(both, 'uint8').id).toBe('uint8');
    expect(wasmVariantOf(valid).id).toBe('uint8');
  });
});

/** Whatever the export has left there: a model that is not shipped has no folder. */
describe('shipped manifests', () => {
  const root = new URL('../../model-export/weights/', import.meta.url).pathname;

  it('are valid, and name their files by digest and size', () => {
    for (const path of globSync(join(root, '*/manifest.json'))) {
      const manifest = manifestSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
      for (const { file, sha256, bytes } of manifest.variants) {
        const model = readFileSync(join(dirname(path), file));
        expect([model.length, createHash('sha256').update(model).digest('hex')], file).toEqual([bytes, sha256]);
      }
    }
  });
});

import { manifestSchema, type ModelManifest } from '@deblur/shared/protocol/model-manifest.ts';
import { describe, expect, it } from 'vitest';
import { catalogueOf, resolveModel, type AutoRule, type Catalogue } from '../../workers/gateway/restorations/models.ts';
import exported from '../../model-export/weights/dhnet-edge/manifest.json';
import { call } from './support/gateway.ts';

function manifestOf(name: ModelManifest['name'], trained: boolean): ModelManifest {
  const tensor = { name: 'x', type: 'uint8', layout: 'NHWC' } as const;
  return {
    schema_version: 1,
    name,
    version: name.padEnd(64, '0'),
    paper: 'x',
    parameters: 1,
    macs_256: 1,
    opset: 17,
    pad_multiple: 8,
    tile: { size: 256, overlap: 32, max: 512, fixed: false, align: 1 },
    max_batch: 1,
    variants: [
      {
        id: 'uint8',
        file: 'x.onnx',
        sha256: 'x',
        bytes: 1,
        dtype: 'float32',
        weights_dtype: 'float32',
        input: tensor,
        output: tensor,
      },
    ],
    trained: trained ? { patches: 1, seconds: 1, device: 'cpu', config: 'x' } : null,
    measured: [],
  };
}

const LATENCY: AutoRule = { prefer: 'latency', bestMaxPixels: 8_000_000 };

function catalogue(dhnet: ModelManifest | null, edge: ModelManifest | null, rule = LATENCY): Catalogue {
  const shipped = [
    { name: 'dhnet', placements: ['runner'], manifest: dhnet },
    { name: 'dhnet-edge', placements: ['edge', 'runner'], manifest: edge },
  ] as const;
  return catalogueOf(shipped, [], rule);
}

const edge = manifestOf('dhnet-edge', true);
const dhnet = manifestOf('dhnet', true);
const MEGAPIXEL = 1_000_000;

describe('resolveModel', () => {
  it.each([
    ['auto', catalogue(null, edge), 'dhnet-edge'],
    ['best', catalogue(null, edge), 'dhnet-edge'],
    ['auto', catalogue(manifestOf('dhnet', false), edge), 'dhnet-edge'],
    ['best', catalogue(dhnet, edge), 'dhnet'],
    ['dhnet-edge', catalogue(dhnet, edge), 'dhnet-edge'],
    ['auto', catalogue(dhnet, null), 'dhnet'],
  ] as const)('%s is a model that is trained, or the one that is named', (wanted, models, expected) => {
    expect(resolveModel(models, wanted).name).toBe(expected);
  });

  it.each([
    [LATENCY, 1, 'dhnet-edge'],
    [LATENCY, 4, 'dhnet'],
    [LATENCY, 8, 'dhnet'],
    [LATENCY, 9, 'dhnet-edge'],
    [{ prefer: 'latency', bestMaxPixels: 0 }, 4, 'dhnet-edge'],
    [{ prefer: 'quality', bestMaxPixels: 8_000_000 }, 1, 'dhnet'],
    [{ prefer: 'quality', bestMaxPixels: 8_000_000 }, 9, 'dhnet-edge'],
    [{ prefer: 'quality', bestMaxPixels: 0 }, 1, 'dhnet'],
    [{ prefer: 'quality', bestMaxPixels: 0 }, 2, 'dhnet-edge'],
  ] as const)('with %j, auto restores %i megapixels by %s', (rule, megapixels, expected) => {
    expect(resolveModel(catalogue(dhnet, edge, rule), 'auto', megapixels * MEGAPIXEL).name).toBe(expected);
  });

  it.each([
    ['dhnet', catalogue(null, edge)],
    ['dhnet', catalogue(manifestOf('dhnet', false), edge)],
    ['dhnet-b', catalogue(null, edge)],
    ['auto', catalogue(null, null)],
    ['best', catalogue(null, null)],
    ['auto', catalogue(null, manifestOf('dhnet-edge', false))],
  ] as const)('%s without trained weights is refused, not substituted', (wanted, models) => {
    expect(() => resolveModel(models, wanted)).toThrow(expect.objectContaining({ code: 'model_unavailable' }));
  });
});

describe('catalogueOf', () => {
  const shipped = catalogue(null, edge);

  it('offers what the operator says the runner has, the best of it first', () => {
    const imported = { ...manifestOf('nafnet-64', true), cost: 60 };
    const models = catalogueOf(shipped, [dhnet, imported], LATENCY);
    expect(resolveModel(models, 'best')).toMatchObject({ name: 'nafnet-64', placements: ['runner'] });
    expect(resolveModel(models, 'dhnet')).toMatchObject({ version: dhnet.version, placements: ['runner'] });
    expect(resolveModel(models, 'dhnet-edge').version).toBe(edge.version);
  });

  it('takes no untrained model, and no other version of a model that runs at the edge too', () => {
    const models = catalogueOf(shipped, [manifestOf('dhnet', false), { ...edge, version: '0'.repeat(64) }], LATENCY);
    expect(resolveModel(models, 'best')).toMatchObject({ name: 'dhnet-edge', version: edge.version });
  });
});

describe('GET /v1/models', () => {
  it('says which there are, which are trained, where they run and how well they restore', async () => {
    const manifest = manifestSchema.parse(exported);
    const response = await call('/v1/models');
    expect(response.status).toBe(200);
    expect(response.headers.get('cache-control')).toBe('no-store');
    const body = await response.json<{ auto: string; models: { name: string }[] }>();
    expect(body.auto).toBe('dhnet-edge');
    const [b, plain, atEdge] = body.models;
    for (const [model, name] of [
      [b, 'dhnet-b'],
      [plain, 'dhnet'],
    ] as const) {
      expect(model).toMatchObject({ name, available: false, trained: false, version: null, measured: [] });
    }
    expect(atEdge).toMatchObject({
      name: 'dhnet-edge',
      available: true,
      trained: true,
      version: manifest.version,
      parameters: manifest.parameters,
      placements: [
        { placement: 'edge', max_pixels: 1_048_576 },
        { placement: 'runner', max_pixels: 64_000_000 },
      ],
      measured: manifest.measured.map(({ set, images, input, output }) => ({ set, images, input, output })),
    });
  });
});

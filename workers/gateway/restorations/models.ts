/** Which models there are, which of them are trained, and which one a request means. */
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { EDGE_MAX_PIXELS } from '@deblur/shared/limits.ts';
import { costOf, modelFactsSchema, type ModelFacts } from '@deblur/shared/protocol/model-manifest.ts';
import type { ModelName, Options } from '@deblur/shared/protocol/options.ts';
import { z } from 'zod';
import type { Placement } from '../results/stored-result.ts';

export interface CatalogueEntry {
  readonly name: ModelName;
  readonly placements: readonly Placement[];
  /** Null until weights were exported. */
  readonly manifest: ModelFacts | null;
  /** Pixels of the pictures for which `auto` takes this model; from the first to the last of them. */
  readonly auto: { readonly from: number; readonly to: number };
}

export type AvailableModel = CatalogueEntry & { readonly version: string; readonly manifest: ModelFacts };

/** Best restoration first: `best` takes the first that is trained, `auto` the first of them that is meant for the picture. */
export type Catalogue = readonly CatalogueEntry[];

/** What the operator says of `auto`. */
export interface AutoRule {
  /** `quality`: pictures that the edge could restore go to the best model, too. */
  readonly prefer: 'latency' | 'quality';
  /** Larger pictures are not restored by the best model unless it is named: 0 where a runner on a CPU would take minutes. */
  readonly bestMaxPixels: number;
}

const runnerModels = z
  .array(modelFactsSchema)
  .refine((models) => new Set(models.map(({ name }) => name)).size === models.length, 'two models have one name');

/**
 * @param text a JSON list of manifests, whose variants may be left out; empty: none
 * @throws {Error} that says where it is wrong, without what is there
 */
export function parseRunnerModels(text: string): ModelFacts[] {
  if (text === '') return [];
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Error('must be a JSON list of model manifests');
  }
  const parsed = runnerModels.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Error(`must be a JSON list of model manifests: ${issue?.path.join('.') || 'all'}: ${issue?.message}`);
}

/**
 * The models that are shipped, and those that the operator's own runner has besides, whatever their names. A model that is
 * placed at the edge, too, keeps its manifest: both runners must have one version.
 */
export function catalogueOf(
  shipped: readonly Omit<CatalogueEntry, 'auto'>[],
  models: readonly ModelFacts[],
  rule: AutoRule,
): Catalogue {
  const known = shipped.map(({ name }) => name);
  const others = models.filter(({ name }) => !known.includes(name)).sort((a, b) => costOf(b) - costOf(a));
  const entries = [
    ...others.map((manifest) => ({ name: manifest.name, placements: ['runner'] as const, manifest })),
    ...shipped.map((entry) => ({
      ...entry,
      manifest: entry.manifest ?? models.find(({ name }) => name === entry.name) ?? null,
    })),
  ];
  return entries.map((entry) => ({ ...entry, auto: autoRange(entry.placements, rule) }));
}

/** The edge's model takes every picture that no other one is meant for. */
function autoRange(placements: readonly Placement[], { prefer, bestMaxPixels }: AutoRule): CatalogueEntry['auto'] {
  if (placements.includes('edge')) return { from: 0, to: Infinity };
  if (prefer === 'quality') return { from: 0, to: Math.max(bestMaxPixels, EDGE_MAX_PIXELS) };
  return { from: EDGE_MAX_PIXELS + 1, to: bestMaxPixels };
}

export function availableModels(catalogue: Catalogue): AvailableModel[] {
  return catalogue.flatMap((entry) => {
    const { manifest } = entry;
    return manifest === null || manifest.trained === null ? [] : [{ ...entry, manifest, version: manifest.version }];
  });
}

/**
 * @param pixels of the picture, which `auto` depends on; undefined while they are not known
 * @throws {DeblurError} `model_unavailable` when a named model has no trained weights (it is never substituted), or when
 * `auto` finds none at all
 */
export function resolveModel(catalogue: Catalogue, wanted: Options['model'], pixels = 0): AvailableModel {
  const available = availableModels(catalogue);
  const model =
    wanted === 'best'
      ? available[0]
      : wanted === 'auto'
        ? (available.find(({ auto }) => auto.from <= pixels && pixels <= auto.to) ?? available[0])
        : available.find(({ name }) => name === wanted);
  if (model !== undefined) return model;
  const names = available.map(({ name }) => name).join(', ') || 'none';
  const subject = wanted === 'auto' || wanted === 'best' ? 'No model' : `The model ${wanted}`;
  throw new DeblurError('model_unavailable', `${subject} has trained weights here. Available: ${names}.`, {
    fields: [{ field: 'model', message: 'has no trained weights' }],
  });
}

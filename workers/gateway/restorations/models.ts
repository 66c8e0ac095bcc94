/** Which models there are, which of them are trained, and which one a request means. */
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { modelFactsSchema, type ModelFacts } from '@deblur/shared/protocol/model-manifest.ts';
import type { ModelName, Options } from '@deblur/shared/protocol/options.ts';
import { z } from 'zod';
import type { Placement } from '../results/ports.ts';

export interface CatalogueEntry {
  readonly name: ModelName;
  readonly placements: readonly Placement[];
  /** Null until weights were exported. */
  readonly manifest: ModelFacts | null;
}

export interface AvailableModel {
  readonly name: ModelName;
  readonly version: string;
  readonly placements: readonly Placement[];
  readonly manifest: ModelFacts;
}

/** Best restoration first: `auto` takes the first that is trained. */
export type Catalogue = readonly CatalogueEntry[];

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
 * The models that are shipped, and those that the operator's own runner has besides. What is placed at the edge, too, keeps
 * its manifest: both runners must have one version.
 */
export function withRunnerModels(shipped: Catalogue, models: readonly ModelFacts[]): Catalogue {
  return shipped.map((entry) => ({
    ...entry,
    manifest: entry.manifest ?? models.find(({ name }) => name === entry.name) ?? null,
  }));
}

export function availableModels(catalogue: Catalogue): AvailableModel[] {
  return catalogue.flatMap(({ name, placements, manifest }) =>
    manifest === null || manifest.trained === null ? [] : [{ name, placements, manifest, version: manifest.version }],
  );
}

/**
 * @throws {DeblurError} `model_unavailable` when a named model has no trained weights (it is never substituted), or when
 * `auto` finds none at all
 */
export function resolveModel(catalogue: Catalogue, wanted: Options['model']): AvailableModel {
  const available = availableModels(catalogue);
  const model = wanted === 'auto' ? available[0] : available.find(({ name }) => name === wanted);
  if (model !== undefined) return model;
  const names = available.map(({ name }) => name).join(', ') || 'none';
  const subject = wanted === 'auto' ? 'No model' : `The model ${wanted}`;
  throw new DeblurError('model_unavailable', `${subject} has trained weights here. Available: ${names}.`, {
    fields: [{ field: 'model', message: 'has no trained weights' }],
  });
}

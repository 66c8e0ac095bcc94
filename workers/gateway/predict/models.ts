/** Which models there are, which of them are trained, and which one a request means. */
import { DeblurError } from '@deblur/shared/errors.ts';
import type { ModelManifest } from '@deblur/shared/model-manifest.ts';
import type { ModelName, Options } from '@deblur/shared/options.ts';
import type { Placement } from './ports.ts';

export interface CatalogueEntry {
  readonly name: ModelName;
  readonly placements: readonly Placement[];
  /** Null until weights were exported. */
  readonly manifest: ModelManifest | null;
}

export interface AvailableModel {
  readonly name: ModelName;
  readonly version: string;
  readonly placements: readonly Placement[];
  readonly manifest: ModelManifest;
}

/** Best restoration first: `auto` takes the first that is trained. */
export type Catalogue = readonly CatalogueEntry[];

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

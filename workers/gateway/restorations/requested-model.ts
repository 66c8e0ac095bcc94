/** Which model a create means: by its path, by `version`, or by `input.model`. */
import { isSha256Hex } from '@deblur/shared/net/digest.ts';
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { invalidOption, type Options } from '@deblur/shared/protocol/options.ts';
import { MODEL_OWNER } from '@deblur/shared/protocol/prediction.ts';
import { availableModels, type Catalogue } from './models.ts';

type ModelChoice = Options['model'];

/** `name`, `owner/name`, a version alone, or `owner/name:version`. */
const REFERENCE = /^(?:(?:([\w.-]+)\/)?([\w.-]+)(?::([0-9a-f]{64}))?)$/;

export interface ModelReferences {
  /** From `/v1/models/{owner}/{name}/predictions`. */
  readonly path?: { readonly owner: string; readonly name: string } | undefined;
  readonly version: string | null;
  /** As the caller wrote it; undefined when it did not. */
  readonly inputModel: ModelChoice | undefined;
}

/**
 * Saying a model twice is fine, saying two models is not.
 * @throws {DeblurError} `not_found` for the path of a model that does not exist, `invalid_option` when two places disagree
 * or `version` is neither a name nor a version, `model_unavailable` for a version that is not here
 */
export function requestedModel(catalogue: Catalogue, { path, version, inputModel }: ModelReferences): ModelChoice {
  const named = [
    path === undefined ? undefined : modelAt(catalogue, path.owner, path.name),
    version === null ? undefined : modelOfVersion(catalogue, version),
    inputModel,
  ].filter((model) => model !== undefined);
  const [model = 'auto', ...others] = named;
  const other = others.find((candidate) => candidate !== model);
  if (other === undefined) return model;
  throw invalidOption('model', `is ${other} here and ${model} elsewhere in the request`);
}

/** @throws {DeblurError} `not_found` */
export function modelAt(catalogue: Catalogue, owner: string, name: string): ModelChoice {
  const model = choice(catalogue, name);
  if (owner === MODEL_OWNER && model !== undefined) return model;
  throw new DeblurError('not_found', 'There is no such model.');
}

function modelOfVersion(catalogue: Catalogue, reference: string): ModelChoice {
  if (isSha256Hex(reference)) return modelWith(catalogue, reference);
  const [, owner = MODEL_OWNER, name = '', version] = REFERENCE.exec(reference) ?? [];
  const model = choice(catalogue, name);
  if (model === undefined || owner !== MODEL_OWNER) {
    throw invalidOption('version', 'is neither the name nor the version of a model');
  }
  if (version === undefined) return model;
  const actual = modelWith(catalogue, version);
  if (actual !== model) throw invalidOption('version', `is a version of ${actual}`);
  return model;
}

function modelWith(catalogue: Catalogue, version: string): ModelChoice {
  const model = availableModels(catalogue).find((candidate) => candidate.version === version);
  if (model !== undefined) return model.name;
  throw new DeblurError('model_unavailable', 'This version of a model is not here.', {
    fields: [{ field: 'version', message: 'is not here' }],
  });
}

const choice = (catalogue: Catalogue, name: string): ModelChoice | undefined =>
  ['auto', 'best', ...catalogue.map((entry) => entry.name)].find((candidate) => candidate === name);

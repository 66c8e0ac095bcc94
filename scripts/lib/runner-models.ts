/** The models of a local runner besides the edge's, in the form of the gateway's RUNNER_MODELS. */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { modelFactsSchema } from '@deblur/shared/protocol/model-manifest.ts';

/** The model of the edge, whose manifest the gateway has. */
const EDGE_MODEL = 'dhnet-edge';

/**
 * @param modelDir `<modelDir>/<model>/manifest.json`
 * @returns a JSON list of manifests, without those that the runner skips; empty when there is none
 */
export function runnerModels(modelDir: string): string {
  const models = globSync(path.join(modelDir, '*/manifest.json'))
    .sort()
    .flatMap((file) => factsOf(file))
    .filter(({ name, trained }) => name !== EDGE_MODEL && trained !== null);
  return models.length === 0 ? '' : JSON.stringify(models);
}

function factsOf(file: string) {
  try {
    const { data } = modelFactsSchema.safeParse(JSON.parse(readFileSync(file, 'utf8')));
    return data === undefined || data.name !== path.basename(path.dirname(file)) ? [] : [data];
  } catch {
    return [];
  }
}

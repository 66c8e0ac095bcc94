import { notFound } from '@deblur/shared/protocol/errors.ts';
import { EDGE_MAX_PIXELS, MAX_PIXELS } from '@deblur/shared/limits.ts';
import type { Handler } from 'hono';
import type { z } from 'zod';
import { availableModels, type Catalogue, type CatalogueEntry } from '../../restorations/models.ts';
import type { Placement } from '../../results/stored-result.ts';
import { modelAt } from '../../restorations/requested-model.ts';
import type { AppEnv } from '../context.ts';
import type { Ports } from '../ports.ts';
import type { modelListSchema, modelSchema } from '../api-schemas.ts';

const MAX_PIXELS_AT: Readonly<Record<Placement, number>> = { edge: EDGE_MAX_PIXELS, runner: MAX_PIXELS };

/** `GET /v1/models`: which there are, which are trained, how well they restore and where they run. */
export function getModels({ catalogue, speeds }: Ports): Handler<AppEnv> {
  const auto = availableModels(catalogue).find(({ auto: range }) => range.from === 0)?.name ?? null;
  return async (c) => {
    const models = await Promise.all(catalogue.map((entry) => modelOf(entry, catalogue, speeds)));
    const body: z.infer<typeof modelListSchema> = { auto, models };
    return c.json(body);
  };
}

/** `GET /v1/models/{owner}/{name}`: the same of one model, with Replicate's fields. */
export function getModel({ catalogue, speeds }: Ports): Handler<AppEnv, '/v1/models/:owner/:name'> {
  const available = availableModels(catalogue);
  return async (c) => {
    const { owner, name } = c.req.param();
    const choice = modelAt(catalogue, owner, name);
    const wanted = choice === 'auto' || choice === 'best' ? available[0]?.name : choice;
    const entry = catalogue.find((candidate) => candidate.name === wanted);
    if (entry === undefined) throw notFound('model');
    const model = await modelOf(entry, catalogue, speeds);
    const { version } = model;
    const body: z.infer<typeof modelSchema> = {
      url: new URL(`/v1/models/${owner}/${model.name}`, c.get('origin')).href,
      owner,
      description: 'Restores blurred photographs.',
      visibility: 'public',
      paper_url: model.paper,
      latest_version: version === null ? null : { id: version, cog_version: null, openapi_schema: null },
      ...model,
    };
    return c.json(body);
  };
}

async function modelOf({ name, placements, manifest }: CatalogueEntry, catalogue: Catalogue, speeds: Ports['speeds']) {
  const available = availableModels(catalogue).some((candidate) => candidate.name === name);
  return {
    name,
    available,
    seconds_per_megapixel: available ? await speeds.secondsPerMegapixel(name) : null,
    trained: (manifest?.trained ?? null) !== null,
    version: manifest?.version ?? null,
    parameters: manifest?.parameters ?? null,
    macs_256: manifest?.macs_256 ?? null,
    paper: manifest?.paper ?? null,
    placements: placements.map((placement) => ({ placement, max_pixels: MAX_PIXELS_AT[placement] })),
    measured: (manifest?.measured ?? []).map(({ set, images, input, output }) => ({ set, images, input, output })),
  };
}

import { EDGE_MAX_PIXELS, MAX_PIXELS } from '@deblur/shared/limits.ts';
import type { Handler } from 'hono';
import { availableModels, type CatalogueEntry } from '../predict/models.ts';
import type { Placement } from '../predict/ports.ts';
import type { AppEnv, Ports } from './context.ts';

const MAX_PIXELS_AT: Readonly<Record<Placement, number>> = { edge: EDGE_MAX_PIXELS, gpu: MAX_PIXELS };

/** `GET /v1/models`: which there are, which are trained, how well they restore and where they run. */
export function getModels({ catalogue }: Ports): Handler<AppEnv> {
  const available = availableModels(catalogue);
  const body = {
    auto: available[0]?.name ?? null,
    models: catalogue.map((entry) =>
      modelOf(
        entry,
        available.some(({ name }) => name === entry.name),
      ),
    ),
  };
  return (c) => c.json(body);
}

function modelOf({ name, placements, manifest }: CatalogueEntry, available: boolean) {
  return {
    name,
    available,
    trained: (manifest?.trained ?? null) !== null,
    version: manifest?.version ?? null,
    parameters: manifest?.parameters ?? null,
    macs_256: manifest?.macs_256 ?? null,
    paper: manifest?.paper ?? null,
    placements: placements.map((placement) => ({ placement, max_pixels: MAX_PIXELS_AT[placement] })),
    measured: (manifest?.measured ?? []).map(({ set, images, input, output }) => ({ set, images, input, output })),
  };
}

/** How fast models are on the runner, by its own word; remembered for a minute in each isolate. */
import { RUNNER_SPEEDS_TTL_MS } from '@deblur/shared/limits.ts';
import type { ModelName } from '@deblur/shared/protocol/options.ts';
import type { ServedModel } from '@deblur/shared/protocol/runner-api.ts';
import type { Part } from './ports.ts';

export class RunnerSpeeds {
  readonly #runner: Part;
  readonly #now: () => number;
  /** A value and no promise: a request must not wait for the call of another one. */
  #known: { readonly models: readonly ServedModel[]; readonly until: number } | undefined;

  constructor(runner: Part, now: () => number = Date.now) {
    this.#runner = runner;
    this.#now = now;
  }

  /** @returns null where the runner does not say it, or does not answer; never throws */
  async secondsPerMegapixel(model: ModelName): Promise<number | null> {
    const models = await this.#models();
    return models.find(({ name }) => name === model)?.seconds_per_megapixel ?? null;
  }

  async #models(): Promise<readonly ServedModel[]> {
    if (this.#known !== undefined && this.#now() < this.#known.until) return this.#known.models;
    const { models = [] } = await this.#runner.health();
    this.#known = { models, until: this.#now() + RUNNER_SPEEDS_TTL_MS };
    return models;
  }
}

/** Which of a model's graphs runs: by what the tiles are made of, and by the execution provider. */
import { sessionFailed } from '@deblur/shared/protocol/errors.ts';
import type { ModelManifest, ModelVariant } from '@deblur/shared/protocol/model-manifest.ts';
import type { ExecutionProvider, RequestedProvider } from '../config.ts';

/** @throws {DeblurError} `runner_unavailable` when the model has nothing for this provider */
export function variantFor(
  model: ModelManifest,
  samples: 'uint8' | 'float32',
  provider: ExecutionProvider,
): ModelVariant {
  const variant = bestVariant(model, samples, provider);
  if (variant !== undefined) return variant;
  throw sessionFailed(`${model.name} has no variant that takes ${samples} on ${provider}`);
}

/** What a runner that was asked for this provider may come to run; with `auto`, on the CPU too. */
export function usableVariants(model: ModelManifest, requested: RequestedProvider): readonly ModelVariant[] {
  const providers = requested === 'auto' ? (['cuda', 'cpu'] as const) : [requested];
  const variants = providers.flatMap((provider) =>
    (['uint8', 'float32'] as const).map((samples) => bestVariant(model, samples, provider)),
  );
  return [...new Set(variants)].filter((variant) => variant !== undefined);
}

/** On a GPU the graph that computes in float16, where the model has one; never on a CPU, which would only cast. */
function bestVariant(
  { variants }: ModelManifest,
  samples: 'uint8' | 'float32',
  provider: ExecutionProvider,
): ModelVariant | undefined {
  const named = (wanted: ModelVariant['id']): ModelVariant | undefined => variants.find(({ id }) => id === wanted);
  return (provider === 'cpu' ? undefined : named(`${samples}-float16`)) ?? named(samples);
}

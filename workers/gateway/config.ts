/** The environment's text becomes typed configuration, once; an error names the variable. */
import { z } from 'zod';

export interface Config {
  readonly production: boolean;
  /** This gateway's origin as the runner reaches it. */
  readonly internalOrigin: string;
  readonly internalSecret: string;
  readonly gpuRunnerUrl: string;
  readonly gpuRunnerToken: string;
  /** Origins that sources and receivers may have although they are not public https: loopback ones, for tests. */
  readonly allowOrigins: readonly string[];
}

/** The variables and secrets of wrangler.toml, before they are believed. */
export interface Variables {
  readonly ENVIRONMENT: string;
  readonly INTERNAL_ORIGIN: string;
  readonly INTERNAL_SECRET: string;
  readonly GPU_RUNNER_URL: string;
  readonly GPU_RUNNER_TOKEN: string;
  /** Set by local runs and tests only. */
  readonly ALLOW_ORIGINS?: string;
}

const httpUrl = z.url({ protocol: /^https?$/, error: 'must be an http or https URL' });

/** Origins, separated by commas or blanks. */
const origins = z
  .string()
  .default('')
  .transform((text) => text.split(/[\s,]+/).filter((origin) => origin !== ''))
  .refine((list) => list.every((origin) => URL.parse(origin)?.origin === origin), 'must be a list of origins');

/** One key for each variable and secret; `npm run deploy` holds wrangler.toml to it. */
export const schema = z
  .object({
    ENVIRONMENT: z.enum(['local', 'production'], { error: 'must be local or production' }),
    INTERNAL_ORIGIN: httpUrl.refine((url) => URL.parse(url)?.origin === url, 'must be an origin, without a path'),
    INTERNAL_SECRET: z.string({ error: 'must be set' }).min(32, 'must have 32 characters or more'),
    GPU_RUNNER_URL: httpUrl,
    GPU_RUNNER_TOKEN: z.string({ error: 'must be set' }).min(1, 'must be set'),
    ALLOW_ORIGINS: origins,
  })
  // Signed URLs and the token are credentials: in production they do not travel in the clear.
  .superRefine((variables, context) => {
    for (const name of ['INTERNAL_ORIGIN', 'GPU_RUNNER_URL'] as const) {
      if (variables.ENVIRONMENT !== 'production' || variables[name].startsWith('https:')) continue;
      context.addIssue({ code: 'custom', path: [name], message: 'must be https in production' });
    }
    if (variables.ENVIRONMENT === 'production' && variables.ALLOW_ORIGINS.length > 0) {
      context.addIssue({ code: 'custom', path: ['ALLOW_ORIGINS'], message: 'must be empty in production' });
    }
  });

/** @throws {Error} that names every variable at fault, without its value */
export function readConfig(env: Variables): Config {
  const parsed = schema.safeParse(env);
  if (!parsed.success) {
    const list = parsed.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`).join('; ');
    throw new Error(`configuration: ${list}`);
  }
  const { ENVIRONMENT, INTERNAL_ORIGIN, INTERNAL_SECRET, GPU_RUNNER_URL, GPU_RUNNER_TOKEN, ALLOW_ORIGINS } =
    parsed.data;
  return {
    production: ENVIRONMENT === 'production',
    internalOrigin: INTERNAL_ORIGIN,
    internalSecret: INTERNAL_SECRET,
    gpuRunnerUrl: GPU_RUNNER_URL,
    gpuRunnerToken: GPU_RUNNER_TOKEN,
    allowOrigins: ALLOW_ORIGINS,
  };
}

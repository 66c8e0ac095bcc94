/** Environment → Config, once, at start. An error names the variable. */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { DEFAULT_MAX_SESSION_WORKERS } from './limits.ts';

export const EXECUTION_PROVIDERS = ['auto', 'cuda', 'cpu'] as const;
export type RequestedProvider = (typeof EXECUTION_PROVIDERS)[number];

export interface Config {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Bearer token that every request but the health check carries; undefined: open. */
  readonly token: string | undefined;
  /** Folder with one folder per model: manifest.json and its ONNX files. */
  readonly modelDir: string;
  readonly executionProvider: RequestedProvider;
  /** Predictions at once. */
  readonly slots: number;
  /** Threads that each hold one session of a model. On CUDA there is one: the GPU is one queue. */
  readonly sessionWorkers: number;
  /** ONNX Runtime's threads inside one run. */
  readonly intraOpThreads: number;
  /** Origins that sources and uploads may use besides public https. */
  readonly allowOrigins: readonly string[];
  /** After SIGTERM, how long running predictions may go on. */
  readonly drainSeconds: number;
}

const wholeNumber = (min: number, max: number): z.ZodType<number, string> =>
  z.string().regex(/^\d+$/, 'must be a whole number').transform(Number).pipe(z.int().min(min).max(max));

const origins = z.string().transform((list, context) =>
  list
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .map((entry) => {
      if (URL.canParse(entry) && new URL(entry).origin === entry) return entry;
      context.addIssue({ code: 'custom', message: `"${entry}" is not an origin such as http://127.0.0.1:8787` });
      return z.NEVER;
    }),
);

/** One key for each variable; the manifests under gpu-runner/ are held to it by tests. */
export const schema = z.object({
  HOST: z.string().min(1).default('127.0.0.1'),
  PORT: wholeNumber(0, 65_535).default(5000),
  RUNNER_TOKEN: z.string().min(1).optional(),
  MODEL_DIR: z
    .string()
    .min(1)
    .default(fileURLToPath(new URL('../model-export/weights', import.meta.url))),
  EXECUTION_PROVIDER: z.enum(EXECUTION_PROVIDERS).default('auto'),
  SLOTS: wholeNumber(1, 64).default(2),
  SESSION_WORKERS: wholeNumber(1, 64).optional(),
  INTRA_OP_THREADS: wholeNumber(1, 256).optional(),
  ALLOW_ORIGINS: origins.default([]),
  DRAIN_SECONDS: wholeNumber(0, 3600).default(25),
  ENVIRONMENT: z.enum(['local', 'production']).default('local'),
});

/**
 * @param env `process.env`; an empty value counts as absent
 * @throws {Error} a line for each variable at fault, with its name
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>, cores = availableParallelism()): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    throw new Error(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('\n'));
  }
  const values = parsed.data;
  if (values.ENVIRONMENT === 'production' && values.ALLOW_ORIGINS.length > 0) {
    throw new Error('ALLOW_ORIGINS: is for local runs and tests; it must be empty when ENVIRONMENT=production');
  }
  // One thread per session scales best while there are few cores: the runs share nothing and wait for nobody.
  const sessionWorkers = values.SESSION_WORKERS ?? Math.min(cores, DEFAULT_MAX_SESSION_WORKERS);
  return {
    host: values.HOST,
    port: values.PORT,
    token: values.RUNNER_TOKEN,
    modelDir: values.MODEL_DIR,
    executionProvider: values.EXECUTION_PROVIDER,
    slots: values.SLOTS,
    sessionWorkers,
    intraOpThreads: values.INTRA_OP_THREADS ?? Math.max(1, Math.floor(cores / sessionWorkers)),
    allowOrigins: values.ALLOW_ORIGINS,
    drainSeconds: values.DRAIN_SECONDS,
  };
}

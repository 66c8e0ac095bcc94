/** Environment → Config, once, at start. An error names the variable. */
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { isWebhookSecret } from '@deblur/shared/protocol/standard-webhooks.ts';
import { DEFAULT_BATCH_DELAY_MS, DEFAULT_MAX_SESSION_WORKERS } from './limits.ts';

export const EXECUTION_PROVIDERS = ['auto', 'tensorrt', 'cuda', 'cpu'] as const;
export type RequestedProvider = (typeof EXECUTION_PROVIDERS)[number];

/** Execution providers of ONNX Runtime that this runner uses. */
export type ExecutionProvider = Exclude<RequestedProvider, 'auto'>;

export interface Config {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Bearer token that every request but the health check carries; undefined: open. */
  readonly token: string | undefined;
  /** Folder with one folder per model: manifest.json and its ONNX files. */
  readonly modelDir: string;
  /** Where the files of models go that are fetched. */
  readonly modelCacheDir: string;
  /** Manifests that are fetched at start, with the files that they name. */
  readonly modelManifests: readonly string[];
  /** Origins that models may be fetched from besides public https: a store inside the cluster, say. */
  readonly modelOrigins: readonly string[];
  /** Names or addresses of the runners behind the same address as this one, itself included or not. */
  readonly peers: readonly string[];
  readonly executionProvider: RequestedProvider;
  /** Predictions at once. */
  readonly slots: number;
  /** Threads that turn files into pixels and back; several pictures may share one. */
  readonly pictureThreads: number;
  /** Threads that each hold one session of a model. On CUDA there is one: the GPU is one queue. */
  readonly sessionWorkers: number;
  /** ONNX Runtime's threads inside one run. */
  readonly intraOpThreads: number;
  /** Tiles in one run of the network, at most; undefined: what suits the execution provider. */
  readonly batchSize: number | undefined;
  /** How long a tile may wait for others to share its run. */
  readonly batchDelayMs: number;
  /** What the sessions of all models may take together; undefined: everything. */
  readonly modelMemoryBytes: number | undefined;
  /** Origins that sources and uploads may use besides public https. */
  readonly allowOrigins: readonly string[];
  /** Key of the webhooks' signatures; undefined: they are not signed. */
  readonly webhookSecret: string | undefined;
  /** Whether HEIC is decoded: HEVC is patented in some countries, so an operator may switch it off. */
  readonly heicDecoding: boolean;
  /** After SIGTERM, how long running predictions may go on. */
  readonly drainSeconds: number;
  /** From a prediction's start to its end, transfers included; undefined: it follows from the picture and the model's speed. */
  readonly timeoutSeconds: number | undefined;
}

const wholeNumber = (min: number, max: number): z.ZodType<number, string> =>
  z.string().regex(/^\d+$/, 'must be a whole number').transform(Number).pipe(z.int().min(min).max(max));

/** Comma-separated entries, each of which `isOne` says is one. */
const listOf = (what: string, isOne: (entry: string) => boolean) =>
  z.string().transform((list, context) =>
    list
      .split(',')
      .map((entry) => entry.trim())
      .filter((entry) => entry !== '')
      .map((entry) => {
        if (isOne(entry)) return entry;
        context.addIssue({ code: 'custom', message: `"${entry}" is not ${what}` });
        return z.NEVER;
      }),
  );

const origins = listOf('an origin such as http://127.0.0.1:8787', (entry) => URL.parse(entry)?.origin === entry);
const urls = listOf('a URL such as https://models.example.com/dhnet/manifest.json', (entry) =>
  ['http:', 'https:'].includes(URL.parse(entry)?.protocol ?? ''),
);

const hostNames = listOf(
  'a host name or address',
  (entry) => URL.parse(`http://${entry}`)?.hostname === entry.toLowerCase(),
);

const webhookSecret = z.string().refine(isWebhookSecret, 'must be whsec_ and the base64 of 24 to 64 bytes');

/** One key for each variable; the manifests under gpu-runner/ are held to it by tests. */
export const schema = z.object({
  HOST: z.string().min(1).default('127.0.0.1'),
  PORT: wholeNumber(0, 65_535).default(5000),
  RUNNER_TOKEN: z.string().min(1).optional(),
  MODEL_DIR: z
    .string()
    .min(1)
    .default(fileURLToPath(new URL('../model-export/weights', import.meta.url))),
  MODEL_CACHE_DIR: z.string().min(1).default(join(tmpdir(), 'deblur-models')),
  MODEL_MANIFESTS: urls.default([]),
  MODEL_ORIGINS: origins.default([]),
  PEERS: hostNames.default([]),
  EXECUTION_PROVIDER: z.enum(EXECUTION_PROVIDERS).default('auto'),
  SLOTS: wholeNumber(1, 64).default(2),
  SESSION_WORKERS: wholeNumber(1, 64).optional(),
  INTRA_OP_THREADS: wholeNumber(1, 256).optional(),
  BATCH_SIZE: wholeNumber(1, 32).optional(),
  BATCH_DELAY_MS: wholeNumber(0, 1000).default(DEFAULT_BATCH_DELAY_MS),
  MODEL_MEMORY_MB: wholeNumber(1, 1_000_000).optional(),
  ALLOW_ORIGINS: origins.default([]),
  WEBHOOK_SECRET: webhookSecret.optional(),
  HEIC_DECODING: z.enum(['true', 'false']).default('true'),
  DRAIN_SECONDS: wholeNumber(0, 3600).default(25),
  TIMEOUT_SECONDS: wholeNumber(1, 86_400).optional(),
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
  if (values.PORT === 0 && values.PEERS.length > 0) {
    throw new Error('PORT: must be the one that the runners of PEERS listen on, not any free one');
  }
  // One thread per session scales best while there are few cores: the runs share nothing and wait for nobody.
  const sessionWorkers = values.SESSION_WORKERS ?? Math.min(cores, DEFAULT_MAX_SESSION_WORKERS);
  return {
    host: values.HOST,
    port: values.PORT,
    token: values.RUNNER_TOKEN,
    modelDir: values.MODEL_DIR,
    modelCacheDir: values.MODEL_CACHE_DIR,
    modelManifests: values.MODEL_MANIFESTS,
    modelOrigins: values.MODEL_ORIGINS,
    peers: values.PEERS,
    executionProvider: values.EXECUTION_PROVIDER,
    slots: values.SLOTS,
    pictureThreads: Math.min(values.SLOTS, cores),
    sessionWorkers,
    intraOpThreads: values.INTRA_OP_THREADS ?? Math.max(1, Math.floor(cores / sessionWorkers)),
    batchSize: values.BATCH_SIZE,
    batchDelayMs: values.BATCH_DELAY_MS,
    modelMemoryBytes: values.MODEL_MEMORY_MB === undefined ? undefined : values.MODEL_MEMORY_MB * 1_000_000,
    allowOrigins: values.ALLOW_ORIGINS,
    webhookSecret: values.WEBHOOK_SECRET,
    heicDecoding: values.HEIC_DECODING === 'true',
    drainSeconds: values.DRAIN_SECONDS,
    timeoutSeconds: values.TIMEOUT_SECONDS,
  };
}

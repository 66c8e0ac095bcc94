/** The environment's text becomes typed configuration, once; an error names the variable. */
import { MAX_PIXELS, RATE_LIMIT_ALL_ANONYMOUS_MEGAPIXELS } from '@deblur/shared/limits.ts';
import { bareHost } from '@deblur/shared/net/url-guard.ts';
import type { ModelFacts } from '@deblur/shared/protocol/model-manifest.ts';
import { parseSigningKeys, type SigningKey } from '@deblur/shared/protocol/image-link.ts';
import { z } from 'zod';
import { parseRunnerModels, type AutoRule } from './restorations/models.ts';
import { parseSourceRules, type SourceRules } from './restorations/image-link.ts';
import { renamedVariables } from './renamed-variables.ts';
import { REPLICATE_MODEL } from './runners/gpu-target.ts';

export interface Config {
  readonly production: boolean;
  /** This gateway's origin as the runner reaches it. */
  readonly internalOrigin: string;
  readonly internalSecret: string;
  /** Names results and sources: another secret is a cold cache. */
  readonly resultKeySecret: string;
  readonly runner: RunnerConfig;
  /** What the runner has besides the shipped models. */
  readonly runnerModels: readonly ModelFacts[];
  readonly auto: AutoRule;
  /** Origins that sources and webhooks may have besides public https; empty in production. */
  readonly allowOrigins: readonly string[];
  /** Empty: there are no image links. */
  readonly signingKeys: readonly SigningKey[];
  readonly imageLinkSources: SourceRules;
  /** Whether all tenants have one scope, and so share their results. */
  readonly sharedCache: boolean;
  /** Null: what is erased leaves other data centres' caches by its age only. */
  readonly purge: { readonly zoneId: string; readonly token: string } | null;
  /** Null: there is no /metrics. */
  readonly metricsToken: string | null;
  /** This gateway's origin as its callers reach it; null: what their requests say. */
  readonly publicUrl: string | null;
  /** Whether a proxy of the operator stands before the gateway, whose X-Forwarded-Proto counts. */
  readonly trustedProxy: boolean;
  /** Hosts of this gateway: no source is fetched from them. */
  readonly ownHosts: readonly string[];
  /** Origins whose pages may call the API. */
  readonly corsOrigins: '*' | readonly string[];
  /** What all anonymous work together may cost in an hour, in megapixels. */
  readonly anonymousMegapixels: number;
  /** Opens everything; null locally, where everything is open. */
  readonly adminKey: string | null;
  /** Whether anybody may restore without a key, within smaller limits. */
  readonly anonymousAccess: boolean;
}

/** Where large pictures are restored: one's own runner, or a model on Replicate. */
export type RunnerConfig =
  | { readonly kind: 'own'; readonly url: string; readonly token: string }
  | { readonly kind: 'replicate'; readonly model: string; readonly token: string };

/** The variables and secrets of wrangler.toml, before they are believed. */
export interface Variables {
  readonly ENVIRONMENT: string;
  readonly INTERNAL_ORIGIN: string;
  readonly INTERNAL_SECRET: string;
  readonly RESULT_KEY_SECRET: string;
  readonly RUNNER_URL: string;
  readonly RUNNER_TOKEN?: string;
  readonly REPLICATE_MODEL?: string;
  readonly REPLICATE_API_TOKEN?: string;
  readonly RUNNER_MODELS?: string;
  readonly AUTO_PREFER?: string;
  readonly AUTO_BEST_MAX_PIXELS?: string;
  /** Set by local runs and tests only. */
  readonly ALLOW_ORIGINS?: string;
  readonly IMAGE_LINK_SOURCES?: string;
  readonly SHARED_CACHE?: string;
  readonly PURGE_ZONE_ID?: string;
  /** Secrets that may be missing are not in wrangler.toml, and so not in the generated Env. */
  readonly IMAGE_LINK_KEYS?: string;
  readonly PURGE_API_TOKEN?: string;
  readonly METRICS_TOKEN?: string;
  readonly ADMIN_KEY?: string;
  readonly ANONYMOUS_ACCESS?: string;
  readonly ANONYMOUS_MEGAPIXELS_PER_HOUR?: string;
  readonly PUBLIC_URL?: string;
  readonly TRUSTED_PROXY?: string;
  readonly OWN_HOSTS?: string;
  readonly CORS_ORIGINS?: string;
}

const httpUrl = z.url({ protocol: /^https?$/, error: 'must be an http or https URL' });

const unset = z.literal('');

const secret = z.string({ error: 'must be set' }).min(32, 'must have 32 characters or more');

const isOrigin = (text: string): boolean => URL.parse(text)?.origin === text;

const origins = z
  .string()
  .transform((list) => list.split(',').map((entry) => entry.trim()))
  .transform((entries) => entries.filter((entry) => entry !== ''))
  .refine((entries) => entries.every(isOrigin), 'must be origins such as http://127.0.0.1:9000, joined by commas');

/** Text that another module parses; its complaint is ours. */
function parsedBy<T>(parse: (text: string) => T) {
  return z.string().transform((text, context) => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : 'is not valid' });
      return z.NEVER;
    }
  });
}

const OPERATOR_TOKEN_MIN_CHARACTERS = 16;

/** One key for each variable and secret; `npm run deploy` holds wrangler.toml to it. */
export const schema = z
  .object({
    ENVIRONMENT: z.enum(['local', 'production'], { error: 'must be local or production' }),
    INTERNAL_ORIGIN: httpUrl.refine(isOrigin, 'must be an origin, without a path'),
    INTERNAL_SECRET: secret,
    RESULT_KEY_SECRET: secret,
    RUNNER_URL: httpUrl.or(unset).optional(),
    RUNNER_TOKEN: z.string().optional(),
    REPLICATE_MODEL: z
      .string()
      .regex(REPLICATE_MODEL, 'must be owner/name, owner/name:version or deployments/owner/name')
      .or(unset)
      .optional(),
    REPLICATE_API_TOKEN: z.string().optional(),
    RUNNER_MODELS: parsedBy(parseRunnerModels).default([]),
    AUTO_PREFER: z.enum(['latency', 'quality'], { error: 'must be latency or quality' }).default('latency'),
    AUTO_BEST_MAX_PIXELS: z
      .string()
      .regex(/^\d+$/, 'must be a whole number of pixels')
      .transform(Number)
      .pipe(z.int().max(MAX_PIXELS))
      .default(0),
    IMAGE_LINK_KEYS: parsedBy(parseSigningKeys).default([]),
    // Without a word of the operator: no sources, nothing shared between tenants, nothing purged.
    IMAGE_LINK_SOURCES: parsedBy(parseSourceRules).prefault(''),
    SHARED_CACHE: z.enum(['true', 'false'], { error: 'must be true or false' }).default('false'),
    PURGE_ZONE_ID: z
      .string()
      .regex(/^(?:[0-9a-f]{32})?$/, 'must be a zone id, or empty')
      .default(''),
    PURGE_API_TOKEN: z.string().default(''),
    METRICS_TOKEN: z
      .string()
      .refine(
        (token) => token === '' || token.length >= OPERATOR_TOKEN_MIN_CHARACTERS,
        'must have 16 characters or more',
      )
      .default(''),
    ALLOW_ORIGINS: origins.default([]),
    // What a bearer token may consist of (RFC 6750), long enough not to be guessed.
    ADMIN_KEY: z
      .string()
      .regex(/^[A-Za-z0-9._~+/-]{32,256}=*$/, 'must have 32 to 256 letters, digits or -._~+/')
      .optional(),
    ANONYMOUS_ACCESS: z.enum(['true', 'false'], { error: 'must be true or false' }).default('true'),
    ANONYMOUS_MEGAPIXELS_PER_HOUR: z
      .string()
      .regex(/^\d{0,7}$/, 'must be a whole number of megapixels, or empty')
      .default(''),
    PUBLIC_URL: httpUrl.refine(isOrigin, 'must be an origin, without a path').or(unset).default(''),
    TRUSTED_PROXY: z.enum(['true', 'false'], { error: 'must be true or false' }).default('false'),
    OWN_HOSTS: z
      .string()
      .transform((list) => list.split(/[\s,]+/).filter((host) => host !== ''))
      .refine(
        (hosts) => hosts.every((host) => URL.parse(`https://${host}`)?.host === host),
        'must be hosts, joined by commas',
      )
      .default([]),
    CORS_ORIGINS: z.literal('*').or(origins).optional(),
  })
  .superRefine((variables, context) => {
    const refuse = (name: keyof Variables, message: string): void =>
      context.addIssue({ code: 'custom', path: [name], message });
    const { RUNNER_URL, RUNNER_TOKEN, REPLICATE_MODEL, REPLICATE_API_TOKEN } = variables;
    if (!RUNNER_URL === !REPLICATE_MODEL) refuse('RUNNER_URL', 'must be set, or REPLICATE_MODEL, and not both');
    if (RUNNER_URL && !RUNNER_TOKEN) refuse('RUNNER_TOKEN', 'must be set');
    if (REPLICATE_MODEL && !REPLICATE_API_TOKEN) refuse('REPLICATE_API_TOKEN', 'must be set');
    if ((variables.PURGE_ZONE_ID === '') !== (variables.PURGE_API_TOKEN === '')) {
      refuse('PURGE_ZONE_ID', 'must be set together with PURGE_API_TOKEN');
    }
    if (variables.ENVIRONMENT !== 'production') return;
    if (variables.RESULT_KEY_SECRET === variables.INTERNAL_SECRET) {
      refuse('RESULT_KEY_SECRET', 'must be another secret than INTERNAL_SECRET');
    }
    // Internal URLs and the token are credentials: in production they do not travel in the clear.
    for (const name of ['INTERNAL_ORIGIN', 'RUNNER_URL'] as const) {
      if (variables[name] && !variables[name].startsWith('https:')) refuse(name, 'must be https in production');
    }
    if (variables.ALLOW_ORIGINS.length > 0) refuse('ALLOW_ORIGINS', 'must be empty in production');
    if (variables.ADMIN_KEY === undefined) refuse('ADMIN_KEY', 'must be set in production');
  });

/** @throws {Error} that names every variable at fault, without its value */
export function readConfig(env: Variables): Config {
  const parsed = schema.safeParse({ ...env, ...renamedVariables(env) });
  if (!parsed.success) {
    const list = parsed.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`).join('; ');
    throw new Error(`configuration: ${list}`);
  }
  const { data } = parsed;
  return {
    production: data.ENVIRONMENT === 'production',
    internalOrigin: data.INTERNAL_ORIGIN,
    internalSecret: data.INTERNAL_SECRET,
    resultKeySecret: data.RESULT_KEY_SECRET,
    runner: runnerConfigOf(data),
    runnerModels: data.RUNNER_MODELS,
    auto: { prefer: data.AUTO_PREFER, bestMaxPixels: data.AUTO_BEST_MAX_PIXELS },
    allowOrigins: data.ALLOW_ORIGINS,
    signingKeys: data.IMAGE_LINK_KEYS,
    imageLinkSources: data.IMAGE_LINK_SOURCES,
    sharedCache: data.SHARED_CACHE === 'true',
    purge: data.PURGE_ZONE_ID === '' ? null : { zoneId: data.PURGE_ZONE_ID, token: data.PURGE_API_TOKEN },
    metricsToken: data.METRICS_TOKEN || null,
    adminKey: data.ADMIN_KEY ?? null,
    anonymousAccess: data.ANONYMOUS_ACCESS === 'true',
    anonymousMegapixels: Number(data.ANONYMOUS_MEGAPIXELS_PER_HOUR || RATE_LIMIT_ALL_ANONYMOUS_MEGAPIXELS),
    publicUrl: data.PUBLIC_URL || null,
    trustedProxy: data.TRUSTED_PROXY === 'true',
    ownHosts: ownHostsOf(data),
    // A local run has no keys: a page of another origin is let in by name only.
    corsOrigins: data.CORS_ORIGINS ?? (data.ENVIRONMENT === 'production' ? '*' : []),
  };
}

function ownHostsOf({ INTERNAL_ORIGIN, PUBLIC_URL, OWN_HOSTS }: z.output<typeof schema>): readonly string[] {
  const origins = [INTERNAL_ORIGIN, PUBLIC_URL].filter((origin) => origin !== '');
  return [...origins.map((origin) => new URL(origin).host), ...OWN_HOSTS].map(bareHost);
}

/** Of variables that agree. */
function runnerConfigOf(variables: z.output<typeof schema>): RunnerConfig {
  const { RUNNER_URL = '', RUNNER_TOKEN = '', REPLICATE_MODEL: model, REPLICATE_API_TOKEN = '' } = variables;
  if (model) return { kind: 'replicate', model, token: REPLICATE_API_TOKEN };
  return { kind: 'own', url: RUNNER_URL, token: RUNNER_TOKEN };
}

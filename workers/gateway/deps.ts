/** The composition root: the only file that knows every adapter, and with config.ts the only one that reads `env`. */
import { ASYNC_UPLOAD_MAX_BYTES, SYNC_UPLOAD_MAX_BYTES } from '@deblur/shared/limits.ts';
import { manifestSchema } from '@deblur/shared/protocol/model-manifest.ts';
import type { EdgeRunnerApi } from '@deblur/shared/protocol/runner-api.ts';
import { bareHost, checkUrl } from '@deblur/shared/net/url-guard.ts';
import edgeManifest from '../../model-export/weights/dhnet-edge/manifest.json';
import { readConfig } from './config.ts';
import type { Ports } from './http/ports.ts';
import type { AuthPorts } from './http/middleware/auth.ts';
import type { CallerPorts } from './http/middleware/callers-origin.ts';
import { DurableJobs } from './jobs/job-client.ts';
import type { DispatchMessage, DispatchPorts } from './jobs/dispatch-queue.ts';
import type { Job } from './jobs/job.ts';
import type { JobPorts } from './jobs/ports.ts';
import type { Namespace } from './call-object.ts';
import { scopeOf } from './restorations/scope.ts';
import type { PredictionIndexObject } from './predictions/prediction-index-object.ts';
import { PictureKeys } from '@deblur/shared/protocol/result-key.ts';
import { DurableSubscribers } from './jobs/subscribers.ts';
import { CloudflareRateLimits } from './limits/rate-limits.ts';
import type { RateLimits } from './tenants/access-ports.ts';
import { catalogueOf, type CatalogueEntry } from './restorations/models.ts';
import { isAllowedSource } from './restorations/image-link.ts';
import { DurablePredictions } from './predictions/prediction-client.ts';
import type { PredictionPorts, PredictionResource } from './predictions/prediction-object.ts';
import { EdgeRestorer } from './runners/edge-restorer.ts';
import { GpuRunner } from './runners/gpu-runner.ts';
import { ownRunner, replicateModel } from './runners/gpu-target.ts';
import { RunnerSpeeds } from './runners/runner-speeds.ts';
import { SignedInternalUrls } from './runners/internal-urls.ts';
import { CountedRestorer } from './metrics/counted-restorer.ts';
import { StatsClient } from './metrics/stats-client.ts';
import { NO_PURGE, ZonePurge } from './results/cache-purge.ts';
import { ResultStore } from './results/result-store.ts';
import { RunnerUploads } from './results/runner-uploads.ts';
import { SourceFetcher, type SourceFetcherOptions } from './sources/source-fetcher.ts';
import { SourceLinks } from './sources/source-links.ts';
import { SourceStore } from './sources/source-store.ts';
import { TenantApiKeys } from './tenants/api-keys.ts';
import { TenantFiles } from './tenants/files.ts';
import type { TenantStubs } from './tenants/tenant-stub.ts';
import { TenantWebhookSecrets } from './tenants/webhook-secrets.ts';
import { Deliveries } from './webhooks/deliveries.ts';
import { HttpWebhookSender } from './webhooks/sender.ts';

/** Best restoration first. A model without a manifest is there when RUNNER_MODELS says that the runner has it. */
const SHIPPED: readonly Omit<CatalogueEntry, 'auto'>[] = [
  { name: 'dhnet-b', placements: ['runner'], manifest: null },
  { name: 'dhnet', placements: ['runner'], manifest: null },
  { name: 'dhnet-edge', placements: ['edge', 'runner'], manifest: manifestSchema.parse(edgeManifest) },
];

/** One for each isolate, so that its counts travel together. */
let stats: StatsClient | undefined;

/** One for each isolate, so that the runner is asked once a minute. */
let speeds: RunnerSpeeds | undefined;

function statsOf(env: Env): StatsClient {
  return (stats ??= new StatsClient(() => env.STATS.getByName('gateway')));
}

/** What the job objects work with. */
export function createJobPorts(env: Env): JobPorts & Pick<Ports, 'urls' | 'sources' | 'results' | 'keys'> {
  const config = readConfig(env);
  const keys = new PictureKeys(config.resultKeySecret);
  const sources = new SourceStore(env.STORE, keys);
  const results = new ResultStore(env.STORE);
  const urls = new SignedInternalUrls({ origin: config.internalOrigin, secret: config.internalSecret });
  // The binding's type is generated without the other Worker's: they meet in shared/protocol/runner-api.ts.
  const edgeRunner = env.EDGE_RUNNER as unknown as EdgeRunnerApi;
  const { runner } = config;
  const target =
    runner.kind === 'replicate' ? replicateModel(runner.model, runner.token) : ownRunner(runner.url, runner.token);
  return {
    keys,
    sources,
    results,
    urls,
    restorers: {
      edge: new CountedRestorer(new EdgeRestorer(edgeRunner, sources, results), 'edge', statsOf(env)),
      runner: new GpuRunner({ target, urls }),
    },
    subscribers: new DurableSubscribers(predictionsOf(env)),
    stats: statsOf(env),
    callBack: (message, delaySeconds) => sendDispatch(env, message, delaySeconds),
  };
}

/** What the consumers of both queues work with. */
export function createDispatchPorts(env: Env): DispatchPorts {
  return {
    jobOf: (restorationKey) => env.JOBS.getByName(restorationKey),
    callBack: (message, delaySeconds) => sendDispatch(env, message, delaySeconds),
  };
}

async function sendDispatch(env: Env, message: DispatchMessage, delaySeconds: number): Promise<void> {
  await env.QUEUE.send(message, { delaySeconds: Math.ceil(delaySeconds) });
}

/** What the prediction objects work with. */
export function createPredictionPorts(env: Env): PredictionPorts {
  const { keys, sources, results, restorers } = createJobPorts(env);
  const { allowOrigins, runnerModels, auto } = readConfig(env);
  const webhookSecrets = new TenantWebhookSecrets(tenantStubs(env));
  return {
    catalogue: catalogueOf(SHIPPED, runnerModels, auto),
    keys,
    results,
    sources,
    speeds: (speeds ??= new RunnerSpeeds(restorers.runner)),
    sourceFetcher: sourceFetcherOf(env, { maxBytes: ASYNC_UPLOAD_MAX_BYTES, attempts: 1 }),
    jobs: jobsOf(env),
    stats: statsOf(env),
    rateLimits: rateLimitsOf(env),
    deliveries: (sql, owner) => {
      const secrets = () => webhookSecrets.signing(owner().tenantId);
      const sender = new HttpWebhookSender({ allowOrigins, secrets, trace: () => owner().trace });
      return new Deliveries(sql, { sender, stats: statsOf(env), random: Math.random });
    },
  };
}

/** What the requests work with. */
export function createPorts(env: Env): Ports {
  const { allowOrigins, signingKeys, imageLinkSources, sharedCache, metricsToken, runnerModels, purge, auto } =
    readConfig(env);
  const jobPorts = createJobPorts(env);
  const linkFetcher = new SourceFetcher({
    allowOrigins,
    isAllowed: (url) => isAllowedSource(imageLinkSources, url),
    maxBytes: SYNC_UPLOAD_MAX_BYTES,
  });
  return {
    ...jobPorts,
    ...createAccessPorts(env, jobPorts),
    uploads: new RunnerUploads(env.STORE, jobPorts.results),
    purge: purge === null ? NO_PURGE : new ZonePurge(purge),
    catalogue: catalogueOf(SHIPPED, runnerModels, auto),
    jobs: jobsOf(env),
    predictions: new DurablePredictions({
      predictions: predictionsOf(env),
      index: env.PREDICTION_INDEX as unknown as Namespace<PredictionIndexObject>,
    }),
    checkUrl: (url) => void checkUrl(url, { allowOrigins }),
    sourceFetcher: sourceFetcherOf(env, { maxBytes: SYNC_UPLOAD_MAX_BYTES }),
    links: new SourceLinks(env.STORE, jobPorts.sources, linkFetcher),
    imageLinks: { keys: signingKeys, sources: imageLinkSources },
    speeds: (speeds ??= new RunnerSpeeds(jobPorts.restorers.runner)),
    sharedCache,
    stats: statsOf(env),
    metrics: statsOf(env),
    metricsToken,
  };
}

// The generated types of RPC are these methods with wrappers that no caller here needs.
const jobsOf = (env: Env): DurableJobs => new DurableJobs(env.JOBS as unknown as Namespace<Job>);

const predictionsOf = (env: Env) => env.PREDICTIONS as unknown as Namespace<PredictionResource>;

/** Of what users name by its address. We do not call ourselves: a call could ask for the next one, and so on. */
function sourceFetcherOf(env: Env, bounds: Pick<SourceFetcherOptions, 'maxBytes' | 'attempts'>): SourceFetcher {
  const { allowOrigins, ownHosts } = readConfig(env);
  return new SourceFetcher({
    allowOrigins,
    isAllowed: ({ host }) => !ownHosts.includes(bareHost(host)),
    ...bounds,
  });
}

const tenantStubs = (env: Env): TenantStubs => env.TENANTS as unknown as TenantStubs;

const rateLimitsOf = (env: Env): RateLimits =>
  new CloudflareRateLimits({
    bucketOf: (account) => env.RATE_LIMITS.get(env.RATE_LIMITS.idFromName(account)),
    counters: { key: env.REQUESTS_KEY, anonymous: env.REQUESTS_ANONYMOUS },
    anonymousMegapixels: readConfig(env).anonymousMegapixels,
  });

/** Who may do what, how much of it, and what belongs to whom. */
function createAccessPorts(env: Env, { sources, keys }: Pick<Ports, 'sources' | 'keys'>): AccessPorts {
  const config = readConfig(env);
  const stubs = tenantStubs(env);
  return {
    accessMode: !config.production ? 'local' : config.anonymousAccess ? 'keys_and_anonymous' : 'keys',
    addressSalt: config.internalSecret,
    publicUrl: config.publicUrl,
    trustedProxy: config.trustedProxy,
    corsOrigins: config.corsOrigins,
    apiKeys: new TenantApiKeys({ stubs, adminKey: config.adminKey }),
    webhookSecrets: new TenantWebhookSecrets(stubs),
    files: new TenantFiles(stubs, { sources, keys, scopeOf: (tenantId) => scopeOf(config, tenantId) }),
    rateLimits: rateLimitsOf(env),
  };
}

type AccessPorts = AuthPorts & CallerPorts & Pick<Ports, 'webhookSecrets' | 'files'>;

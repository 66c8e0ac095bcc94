/** The composition root: the only file that knows every adapter, and with config.ts the only one that reads `env`. */
import { manifestSchema } from '@deblur/shared/model-manifest.ts';
import type { EdgeRunnerApi } from '@deblur/shared/runner-api.ts';
import edgeManifest from '../../model-export/weights/dhnet-edge/manifest.json';
import { readConfig } from './config.ts';
import type { Ports } from './http/context.ts';
import { DurableJobs } from './jobs/job-client.ts';
import type { JobPorts } from './jobs/job-object.ts';
import { inspectImage } from './predict/inspect.ts';
import type { Catalogue } from './predict/models.ts';
import { isAllowedSource } from './predict/picture-link.ts';
import { DurableReferences } from './references/reference-client.ts';
import type { ReferencePorts } from './references/reference-object.ts';
import { EdgeRunner } from './runners/edge-runner.ts';
import { GpuRunner } from './runners/gpu-runner.ts';
import { SignedInternalUrls } from './runners/internal-urls.ts';
import { CountedRestorer } from './stats/counted-restorer.ts';
import { StatsClient } from './stats/stats-client.ts';
import { NO_PURGE, ZonePurge } from './store/cache-purge.ts';
import { R2ResultOrigins } from './store/result-origins.ts';
import { R2ResultStore } from './store/result-store.ts';
import { GuardedSourceFetcher } from './store/source-fetcher.ts';
import { R2SourceLinks } from './store/source-links.ts';
import { R2SourceStore } from './store/source-store.ts';

/** Best restoration first. A model gets its manifest when its weights are exported into the repository. */
const CATALOGUE: Catalogue = [
  { name: 'dhnet-b', placements: ['gpu'], manifest: null },
  { name: 'dhnet', placements: ['gpu'], manifest: null },
  { name: 'dhnet-edge', placements: ['edge', 'gpu'], manifest: manifestSchema.parse(edgeManifest) },
];

/** One for each isolate, so that its counts travel together. */
let stats: StatsClient | undefined;

function statsOf(env: Env): StatsClient {
  return (stats ??= new StatsClient(() => env.STATS.getByName('gateway')));
}

/** What the job objects work with. */
export function createJobPorts(env: Env): JobPorts & Pick<Ports, 'urls'> & { readonly sources: R2SourceStore } {
  const config = readConfig(env);
  const sources = new R2SourceStore(env.STORE, inspectImage);
  const results = new R2ResultStore(env.STORE);
  const urls = new SignedInternalUrls({ origin: config.internalOrigin, secret: config.internalSecret });
  // The binding's type is generated without the other Worker's: they meet in shared/runner-api.ts.
  const edgeRunner = env.EDGE_RUNNER as unknown as EdgeRunnerApi;
  return {
    sources,
    results,
    urls,
    restorers: {
      edge: new CountedRestorer(new EdgeRunner(edgeRunner, sources, results), 'edge', statsOf(env)),
      gpu: new CountedRestorer(
        new GpuRunner({ url: config.gpuRunnerUrl, token: config.gpuRunnerToken, urls, results }),
        'gpu',
        statsOf(env),
      ),
    },
  };
}

/** What the objects work with that hold references. */
export function createReferencePorts(env: Env): ReferencePorts {
  const { purge } = readConfig(env);
  return {
    results: new R2ResultStore(env.STORE),
    origins: new R2ResultOrigins(env.STORE),
    purge: purge === null ? NO_PURGE : new ZonePurge(purge),
  };
}

/** What the requests work with. */
export function createPorts(env: Env): Ports {
  const { allowOrigins, signingKeys, signedUrlSources, sharedCache, metricsToken } = readConfig(env);
  const jobPorts = createJobPorts(env);
  const fetcher = new GuardedSourceFetcher({
    allowOrigins,
    isAllowed: (url) => isAllowedSource(signedUrlSources, url),
  });
  return {
    ...jobPorts,
    catalogue: CATALOGUE,
    jobs: new DurableJobs((restorationKey) => env.JOBS.get(env.JOBS.idFromName(restorationKey))),
    references: new DurableReferences((restorationKey) => env.REFERENCES.getByName(restorationKey)),
    origins: new R2ResultOrigins(env.STORE),
    links: new R2SourceLinks(env.STORE, jobPorts.sources, fetcher),
    signedUrls: { keys: signingKeys, sources: signedUrlSources },
    sharedCache,
    stats: statsOf(env),
    metrics: statsOf(env),
    metricsToken,
  };
}

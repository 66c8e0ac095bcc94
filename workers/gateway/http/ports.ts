/** What the routes work with; `deps.ts` joins it. */
import type { SigningKey } from '@deblur/shared/protocol/image-link.ts';
import type { RateLimits } from '../tenants/access-ports.ts';
import type { CreatePorts } from '../predictions/create-prediction.ts';
import type { SourceRules } from '../restorations/image-link.ts';
import type { InternalUrls, Part } from '../runners/ports.ts';
import type { RunnerSpeeds } from '../runners/runner-speeds.ts';
import type { ErasePorts } from '../restorations/erase-result.ts';
import type { LinkPorts } from '../restorations/restore-image-link.ts';
import type { ResultStore } from '../results/result-store.ts';
import type { RunnerUploads } from '../results/runner-uploads.ts';
import type { SourceFetcher } from '../sources/source-fetcher.ts';
import type { SourceStore } from '../sources/source-store.ts';
import type { Jobs } from '../jobs/ports.ts';
import type { Counts, Metrics } from '../metrics/ports.ts';
import type { AuthPorts } from './middleware/auth.ts';
import type { CallerPorts } from './middleware/callers-origin.ts';
import type { FilePorts } from './routes/files.ts';
import type { WebhookSecretPorts } from './routes/webhook-secret.ts';

export interface Ports
  extends LinkPorts, CreatePorts, ErasePorts, AuthPorts, CallerPorts, FilePorts, WebhookSecretPorts {
  readonly jobs: Jobs;
  readonly results: ResultStore;
  readonly rateLimits: RateLimits;
  readonly uploads: RunnerUploads;
  readonly sources: SourceStore;
  readonly restorers: { readonly edge: Part; readonly runner: Part };
  readonly urls: InternalUrls;
  readonly speeds: Pick<RunnerSpeeds, 'secondsPerMegapixel'>;
  readonly sourceFetcher: SourceFetcher;
  readonly imageLinks: { readonly keys: readonly SigningKey[]; readonly sources: SourceRules };
  readonly stats: Counts;
  readonly metrics: Metrics;
  readonly metricsToken: string | null;
}

// What a Worker's configuration needs in the account before it can be deployed, as wrangler commands that may be repeated.
import { RETENTION } from '../../workers/gateway/bucket-keys.ts';
import type { WorkerConfig } from './deploy-checks.ts';

/** A resource that is made when asking for it fails. */
export interface Resource {
  readonly what: string;
  readonly look: readonly string[];
  readonly create: readonly string[];
}

/** Buckets and queues, dead-letter queues included, that the configuration names. Durable Objects come with the Worker. */
export function resourcesOf(config: WorkerConfig): Resource[] {
  const { producers = [], consumers = [] } = config.queues ?? {};
  const queues = [
    ...producers.map(({ queue }) => queue),
    ...consumers.flatMap(({ queue, dead_letter_queue }) => [queue, dead_letter_queue]),
  ].filter((name) => name !== undefined);
  return [
    ...bucketsOf(config).map((name) => ({
      what: `bucket ${name}`,
      look: ['r2', 'bucket', 'info', name],
      create: ['r2', 'bucket', 'create', name],
    })),
    ...[...new Set(queues)].map((name) => ({
      what: `queue ${name}`,
      look: ['queues', 'info', name],
      create: ['queues', 'create', name],
    })),
  ];
}

export function bucketsOf(config: WorkerConfig): string[] {
  return (config.r2_buckets ?? []).map(({ bucket_name }) => bucket_name).filter((name) => name !== undefined);
}

const ABANDONED_UPLOAD_SECONDS = 24 * 3600;

/** The file that `wrangler r2 bucket lifecycle set` takes: it replaces every rule, so setting it again changes nothing. */
export function lifecycleRules(): { readonly rules: readonly object[] } {
  const expire = Object.entries(RETENTION).map(([prefix, maxAge]) => ({
    id: `expire-${prefix.replace('/', '')}`,
    enabled: true,
    conditions: { prefix },
    deleteObjectsTransition: { condition: { type: 'Age', maxAge } },
  }));
  const abort = {
    id: 'abort-multipart',
    enabled: true,
    conditions: {},
    abortMultipartUploadsTransition: { condition: { type: 'Age', maxAge: ABANDONED_UPLOAD_SECONDS } },
  };
  return { rules: [...expire, abort] };
}

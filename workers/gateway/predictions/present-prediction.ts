/** A stored prediction as its wire form. */
import { type WireError } from '@deblur/shared/protocol/errors.ts';
import {
  formatPredictionError,
  type Prediction,
  type PredictionInput,
  type PredictionMetrics,
  type PredictionStatus,
  type WebhookEvent,
} from '@deblur/shared/protocol/prediction.ts';
import { streamToken } from './prediction-id.ts';

export interface PredictionProgress {
  readonly done: number;
  readonly total: number;
}

/** Times in milliseconds since the epoch. */
export interface PredictionRecord {
  readonly tenantId: string;
  readonly id: string;
  /** Null for what was made before streams had addresses of their own. */
  readonly streamSecret: string | null;
  readonly origin: string;
  readonly model: string;
  readonly modelVersion: string;
  readonly status: PredictionStatus;
  readonly input: PredictionInput;
  /** Known once the picture is. */
  readonly resultKey: string | null;
  readonly error: WireError | null;
  readonly progress: PredictionProgress | null;
  readonly metrics: PredictionMetrics;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly completedAt: number | null;
  readonly webhook: string | null;
  readonly webhookEvents: readonly WebhookEvent[] | null;
  readonly dataRemoved: boolean;
}

export function presentPrediction(record: PredictionRecord): Prediction {
  const { tenantId, id, origin, streamSecret, status, dataRemoved, progress, error, resultKey, webhookEvents } = record;
  const url = `${origin}/v1/predictions/${id}`;
  const stream = streamSecret === null ? url : `${origin}/v1/streams/${streamToken(tenantId, id, streamSecret)}`;
  const expected = status !== 'failed' && status !== 'canceled' && resultKey !== null && !dataRemoved;
  const result = expected ? `${origin}/v1/results/${resultKey}` : null;
  return {
    id,
    model: record.model,
    version: record.modelVersion,
    status,
    input: dataRemoved ? {} : { ...record.input },
    output: status === 'succeeded' ? result : null,
    error: error && formatPredictionError(error),
    logs: progress === null || dataRemoved ? '' : progressBar(progress),
    metrics: record.metrics,
    progress,
    urls: { get: url, cancel: `${url}/cancel`, stream, result },
    created_at: iso(record.createdAt),
    started_at: record.startedAt === null ? null : iso(record.startedAt),
    completed_at: record.completedAt === null ? null : iso(record.completedAt),
    webhook: record.webhook,
    webhook_events_filter: webhookEvents && [...webhookEvents],
    data_removed: dataRemoved,
  };
}

const BAR_CHARACTERS = 10;

/** As tqdm writes it, which `parseProgressFromLogs` of Replicate's clients reads. */
function progressBar({ done, total }: PredictionProgress): string {
  const share = total === 0 ? 1 : done / total;
  const bar = '█'.repeat(Math.floor(share * BAR_CHARACTERS)).padEnd(BAR_CHARACTERS);
  return `${Math.floor(share * 100)}%|${bar}| ${done}/${total}`;
}

const iso = (ms: number): string => new Date(ms).toISOString();

/**
 * From a picture and options to its stored result, or to the job that makes it: the one place that decides which keys a
 * restoration has, whether it is stored, what it costs, and where it runs.
 */
import { RATE_LIMIT_MIN_MEGAPIXELS, RATE_LIMIT_UNKNOWN_MEGAPIXELS } from '@deblur/shared/limits.ts';
import { negotiateFormat } from '@deblur/shared/protocol/accept.ts';
import { budgetSpent, tileRefused } from '@deblur/shared/protocol/errors.ts';
import { assertFormatHolds } from '@deblur/shared/protocol/format-limits.ts';
import { costOf, takesTile } from '@deblur/shared/protocol/model-manifest.ts';
import type { EncodeOptions, Options } from '@deblur/shared/protocol/options.ts';
import { canonicalEncoding, type PictureKeys } from '@deblur/shared/protocol/result-key.ts';
import type { TraceContext } from '@deblur/shared/protocol/trace-context.ts';
import type { JobRequest } from '../jobs/ports.ts';
import type { ResultStore } from '../results/result-store.ts';
import type { StoredResult } from '../results/stored-result.ts';
import type { ReceivedSource, StoredBody } from '../sources/source-store.ts';
import type { RateAccount, RateLimits } from '../tenants/access-ports.ts';
import type { RunnerSpeeds } from '../runners/runner-speeds.ts';
import { assertInTime } from './expected-time.ts';
import { resolveModel, type Catalogue } from './models.ts';
import { placeEncoding, placeRestoration } from './placement.ts';

export interface ClaimPorts {
  readonly catalogue: Catalogue;
  readonly keys: PictureKeys;
  readonly results: Pick<ResultStore, 'get'>;
  readonly rateLimits: Pick<RateLimits, 'charge'>;
  readonly speeds: Pick<RunnerSpeeds, 'secondsPerMegapixel'>;
}

/**
 * How a restoration is paid for. `before`: all of it now, a stored result at the minimum price. `rest`: what it costs beyond
 * the price that was paid before the picture's size was known. `none`: by nobody.
 */
export type Payment = { readonly kind: 'before' | 'rest'; readonly account: RateAccount } | { readonly kind: 'none' };

export interface PlanQuestion {
  /** Whose the result is. */
  readonly scope: string;
  readonly source: Pick<ReceivedSource, 'digest' | 'bytes' | 'header'>;
  readonly options: Options;
  /** The caller's `Accept`, which decides `format=auto`; null: the source's own format. */
  readonly accept: string | null;
  /** Of the request that asks. */
  readonly trace?: TraceContext | undefined;
}

export interface Claim extends PlanQuestion {
  readonly source: ReceivedSource;
  readonly payment: Payment;
  /** From now on; undefined: the work has no deadline that the caller chose. */
  readonly deadlineSeconds?: number;
}

export type ClaimedRestoration = (
  | { readonly kind: 'stored'; readonly result: StoredResult & StoredBody }
  /** The source is kept, and the job may be asked. */
  | { readonly kind: 'wanted' }
) & {
  readonly job: JobRequest;
  /** Megapixels that were paid. */
  readonly paid: number;
};

/**
 * Answers from the store before a pixel is decoded. Nothing is written for a caller who cannot pay.
 * @throws {DeblurError} `model_unavailable`, `not_acceptable`, `rate_limited`
 */
export async function claimRestoration(ports: ClaimPorts, claim: Claim): Promise<ClaimedRestoration> {
  const { source, payment, scope } = claim;
  const planned = await planJob(ports, claim);
  const found = await ports.results.get('result', planned.task.resultKey);
  const isStored = found?.kind === 'stored';
  try {
    if (!isStored) await assertInTime(ports.speeds, planned, megapixelsOf(source), claim.deadlineSeconds);
    const paid = await pay(ports.rateLimits, payment, isStored ? 0 : priceOf(ports.catalogue, claim));
    if (isStored) return { kind: 'stored', result: found, job: planned, paid };
    await source.keep(scope);
    if (found === null) return { kind: 'wanted', job: planned, paid };
    // It was erased before this request: the job may take that back, and no later erasure.
    return { kind: 'wanted', job: { ...planned, task: { ...planned.task, replaces: found.version } }, paid };
  } catch (error) {
    if (isStored) await found.body.cancel();
    throw error;
  }
}

/** @returns the megapixels that were paid @throws {DeblurError} `rate_limited` */
export async function pay(
  rateLimits: Pick<RateLimits, 'charge'>,
  payment: Payment,
  megapixels: number,
): Promise<number> {
  if (payment.kind === 'none') return 0;
  const price =
    payment.kind === 'before'
      ? Math.max(megapixels, RATE_LIMIT_MIN_MEGAPIXELS)
      : Math.max(0, megapixels - RATE_LIMIT_UNKNOWN_MEGAPIXELS);
  if (price === 0) return 0;
  const { allowed, ...left } = await rateLimits.charge(payment.account, price);
  if (!allowed) throw budgetSpent({ price, ...left });
  return price;
}

/** @throws {DeblurError} `model_unavailable`, `not_acceptable`, `invalid_option` when the named format cannot hold the picture */
export async function planJob(
  { catalogue, keys }: Pick<ClaimPorts, 'catalogue' | 'keys'>,
  { scope, source, options, accept, trace }: PlanQuestion,
): Promise<JobRequest> {
  const { header, bytes, digest } = source;
  const pixels = header.width * header.height;
  const resolved = resolveModel(catalogue, options.model, pixels);
  const { name: model, version: modelVersion, placements } = resolved;
  const { tile, quality, metadata, working_scale: workingScale } = options;
  if (tile !== undefined && !takesTile(resolved.manifest, tile)) throw tileRefused(model, tile);
  const format = options.format === 'auto' ? negotiateFormat(accept, header.format, header) : options.format;
  assertFormatHolds(format, header);
  const encoding: EncodeOptions = canonicalEncoding({ format, quality, metadata });
  const placed = { header, bytes, output: format };
  const suited = placeRestoration({ ...placed, placements, tile });
  const placement = options.placement ?? suited;
  // The placements differ in the last bits: what was asked of the runner is not answered by the edge's result.
  const forced = placement === suited ? undefined : options.placement;
  const named = { scope, sourceDigest: digest, model, modelVersion, tile, workingScale, placement: forced };
  const restorationKey = await keys.restoration(named);
  const sourceKey = await keys.source(scope, digest);
  const { width, height, bitDepth } = header;
  return {
    task: {
      model,
      modelVersion,
      ...(tile === undefined ? {} : { tile }),
      workingScale,
      restorationKey,
      resultKey: await keys.result(restorationKey, encoding),
      sourceKey,
      encoding,
      restoration: {
        scope,
        restorationKey,
        sourceKey,
        width,
        height,
        bitDepth,
        quality: encoding.quality,
        metadata: encoding.metadata,
      },
    },
    placement,
    encodePlacement: placeEncoding(placed),
    ...(trace === undefined ? {} : { trace }),
  };
}

/** What restoring the picture costs, in megapixels of dhnet-edge. */
function priceOf(catalogue: Catalogue, { source, options }: PlanQuestion): number {
  const { width, height } = source.header;
  return megapixelsOf(source) * costOf(resolveModel(catalogue, options.model, width * height).manifest);
}

export const megapixelsOf = ({ header }: Pick<PlanQuestion['source'], 'header'>): number =>
  (header.width * header.height) / 1e6;

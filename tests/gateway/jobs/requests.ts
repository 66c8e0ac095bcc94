/** What is asked of one job, and what its runner reports. */
import type { JobRequest } from '../../../workers/gateway/jobs/ports.ts';
import type { Placement } from '../../../workers/gateway/results/stored-result.ts';

export const REPORT = { tiles: 4, width: 8, height: 8, decodeMs: 1, restoreMs: 3, inferMs: 2, encodeMs: 1 };

export const RESTORATION_KEY = 'a'.repeat(64);

/** The ResultKey of one format of the one picture. */
export const keyOf = (format: 'png' | 'webp' | 'jpeg'): string =>
  ({ png: '1', webp: '2', jpeg: '3' })[format].repeat(64);

export function requestFor(format: 'png' | 'webp' | 'jpeg' = 'png', placement: Placement = 'runner'): JobRequest {
  return {
    task: {
      restorationKey: RESTORATION_KEY,
      resultKey: keyOf(format),
      sourceKey: 'd'.repeat(64),
      restoration: null,
      model: 'dhnet-edge',
      modelVersion: 'c'.repeat(64),
      encoding: { format, quality: 90, metadata: 'keep' },
    },
    placement,
    encodePlacement: placement,
  };
}

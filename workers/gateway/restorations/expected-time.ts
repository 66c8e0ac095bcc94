/** Whether the runner can restore a picture before its deadline. */
import { tooSlowForDeadline } from '@deblur/shared/protocol/errors.ts';
import type { JobRequest } from '../jobs/ports.ts';
import type { RunnerSpeeds } from '../runners/runner-speeds.ts';

export type PlacedWork = Pick<JobRequest, 'placement'> & { readonly task: Pick<JobRequest['task'], 'model'> };

/**
 * Refuses work that could not end in time; work is taken where the speed is not known.
 * @param deadlineSeconds from now on; undefined: there is none
 * @throws {DeblurError} `invalid_option`, with both numbers
 */
export async function assertInTime(
  speeds: Pick<RunnerSpeeds, 'secondsPerMegapixel'>,
  { placement, task: { model } }: PlacedWork,
  megapixels: number,
  deadlineSeconds: number | undefined,
): Promise<void> {
  if (placement !== 'runner' || deadlineSeconds === undefined) return;
  const secondsPerMegapixel = (await speeds.secondsPerMegapixel(model)) ?? 0;
  const expectedSeconds = Math.ceil(secondsPerMegapixel * megapixels);
  if (expectedSeconds > deadlineSeconds) throw tooSlowForDeadline(model, expectedSeconds, deadlineSeconds);
}

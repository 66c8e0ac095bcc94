/** What a job says to a prediction, and the clock that both read. */
import { vi } from 'vitest';
import type { JobEvent } from '../../../workers/gateway/jobs/ports.ts';
import type { Stage } from './subject.ts';

const restore = { tiles: 4, width: 8, height: 8, decodeMs: 1, restoreMs: 3, inferMs: 2, encodeMs: 1 };

export const succeeded: JobEvent = {
  type: 'succeeded',
  report: { cache: 'miss', queueMs: 1500, runMs: 2500, restore },
};

export const failed: JobEvent = {
  type: 'failed',
  error: { code: 'image_undecodable', detail: 'The data is broken.' },
};

export const processing = (): JobEvent => ({ type: 'processing', startedAt: Date.now() });

export const progress = (done: number): JobEvent => ({ type: 'progress', done, total: 4 });

/** What goes on in the background has gone on. */
export const settled = () => new Promise((resolve) => setTimeout(resolve, 20));

/** Moves the clock that the object reads, until `vi.restoreAllMocks`. */
export function later(ms: number): void {
  const now = Date.now();
  vi.spyOn(Date, 'now').mockReturnValue(now + ms);
}

export async function start({ subject, command }: Stage): Promise<void> {
  await subject().create(command);
  await settled();
}

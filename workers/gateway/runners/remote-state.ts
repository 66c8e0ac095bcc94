/** What a runner says of one of its predictions, in an answer and in a callback alike. */
import { callbackMalformed, deadlineExceeded, runnerFailed, toWireError } from '@deblur/shared/protocol/errors.ts';
import { gpuOutputSchema } from '@deblur/shared/protocol/runner-api.ts';
import { z } from 'zod';
import type { RemoteState } from './ports.ts';
import { parseGpuError } from './runner-schemas.ts';

/** A prediction as Cog and Replicate show it; `progress` is our runner's. What else they say is not read. */
const predictionSchema = z.object({
  // It becomes part of a URL.
  id: z.string().regex(/^[A-Za-z0-9_-]{1,128}$/),
  status: z.enum(['starting', 'processing', 'succeeded', 'failed', 'canceled', 'aborted']),
  output: z.unknown().optional(),
  error: z.string().nullish(),
  progress: z.object({ done: z.int().min(0), total: z.int().min(0) }).nullish(),
});

/** @throws {DeblurError} `malformed_request` when the body is not a prediction */
export function readRemoteState(body: unknown): RemoteState {
  const parsed = predictionSchema.safeParse(body);
  if (!parsed.success) throw callbackMalformed();
  const { id, status, error, output, progress } = parsed.data;
  switch (status) {
    case 'starting':
    case 'processing':
      return { id, status, ...(progress ? { progress } : {}) };
    case 'succeeded': {
      const made = gpuOutputSchema.safeParse(output);
      if (made.success) return { id, status, report: made.data.report };
      return { id, status: 'failed', error: toWireError(runnerFailed('broken')) };
    }
    case 'failed':
      return { id, status, error: toWireError(parseGpuError(error ?? '')) };
    case 'canceled':
      return { id, status };
    case 'aborted':
      // Replicate's word for a deadline that passed there.
      return { id, status: 'failed', error: toWireError(deadlineExceeded()) };
  }
}

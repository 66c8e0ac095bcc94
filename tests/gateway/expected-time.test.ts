import { expect, it } from 'vitest';
import { assertInTime } from '../../workers/gateway/restorations/expected-time.ts';

const work = { placement: 'runner', task: { model: 'dhnet-b' } } as const;
const MEGAPIXELS = 50;
const DEADLINE_SECONDS = 900;
const speedOf = (speed: number | null) => ({ secondsPerMegapixel: async () => speed });

it('refuses what the runner cannot restore by the deadline, with both numbers', async () => {
  await expect(assertInTime(speedOf(20), work, MEGAPIXELS, DEADLINE_SECONDS)).rejects.toMatchObject({
    code: 'invalid_option',
    detail: expect.stringMatching(/^model: dhnet-b would take about 1,000 seconds .* the deadline is in 900 seconds/),
  });
});

it.each([
  ['ends by the deadline', 18, work],
  ['has no known speed', null, work],
  ['is done at the edge', 20, { ...work, placement: 'edge' }],
] as const)('takes work that %s', async (_, speed, question) => {
  await expect(assertInTime(speedOf(speed), question, MEGAPIXELS, DEADLINE_SECONDS)).resolves.toBeUndefined();
});

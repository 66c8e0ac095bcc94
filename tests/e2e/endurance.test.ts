/** `npm run bench -- endurance` with few pictures and fewer deaths. */
import { expect, it } from 'vitest';
import { endure } from '../support/endurance/run.ts';

const PICTURES = 24;

it('loses no picture, restores none wrongly and tells of each, though runner and gateway are killed at work', async () => {
  const report = await endure({
    pictures: PICTURES,
    deaths: [
      { of: 'runner', at: 0.1 },
      { of: 'gateway', at: 0.6 },
    ],
    underWay: 12,
    slots: 2,
    timeoutSeconds: 160,
  });
  expect(report.findings).toEqual([]);
  expect(report).toMatchObject({ succeeded: PICTURES, equal: PICTURES, webhooks: { not_genuine: 0 } });
  expect(report.runner.killed_with[0]).toBeGreaterThan(0);
  // The queue was needed, and every picture was really restored by a runner.
  expect(report.runner.refusals_when_full).toBeGreaterThan(0);
  const { completed, cut_off_after_upload } = report.runner;
  expect(completed + cut_off_after_upload).toBeGreaterThanOrEqual(PICTURES);
});

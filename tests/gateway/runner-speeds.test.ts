import { RUNNER_SPEEDS_TTL_MS } from '@deblur/shared/limits.ts';
import { expect, it } from 'vitest';
import type { PartHealth } from '../../workers/gateway/runners/ports.ts';
import { RunnerSpeeds } from '../../workers/gateway/runners/runner-speeds.ts';

const served = { name: 'dhnet-b', version: '1'.repeat(64), seconds_per_megapixel: 18.5 };

function runnerThatSays(...answers: PartHealth[]) {
  let asked = 0;
  const health = async (): Promise<PartHealth> => answers[Math.min(asked++, answers.length - 1)]!;
  return { health, asked: () => asked };
}

it('asks the runner once a minute', async () => {
  let now = 0;
  const runner = runnerThatSays(
    { ready: true, status: 'READY', models: [served] },
    { ready: true, status: 'READY', models: [{ ...served, seconds_per_megapixel: 2 }] },
  );
  const speeds = new RunnerSpeeds(runner, () => now);
  expect(await speeds.secondsPerMegapixel('dhnet-b')).toBe(18.5);
  now = RUNNER_SPEEDS_TTL_MS - 1;
  expect(await speeds.secondsPerMegapixel('dhnet-b')).toBe(18.5);
  expect(runner.asked()).toBe(1);
  now = RUNNER_SPEEDS_TTL_MS;
  expect(await speeds.secondsPerMegapixel('dhnet-b')).toBe(2);
});

it('knows no speed of a model that the runner does not have, and none of a runner that does not say it', async () => {
  const speeds = new RunnerSpeeds(runnerThatSays({ ready: true, status: 'READY', models: [served] }));
  expect(await speeds.secondsPerMegapixel('dhnet-edge')).toBeNull();
  const silent = new RunnerSpeeds(runnerThatSays({ ready: false, status: 'UNREACHABLE' }));
  expect(await silent.secondsPerMegapixel('dhnet-b')).toBeNull();
});

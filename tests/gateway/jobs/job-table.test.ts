import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { JOB_MAX_ATTEMPTS } from '@deblur/shared/limits.ts';
import { describe, expect, it } from 'vitest';
import { JobTable } from '../../../workers/gateway/jobs/job-table.ts';
import type { TaskState } from '../../../workers/gateway/jobs/task.ts';
import { createTables } from '../../../workers/gateway/jobs/schema.ts';
import { keyOf, REPORT, requestFor } from './requests.ts';
import { randomFrom, type Random } from './random.ts';

const FORMATS = ['png', 'webp', 'jpeg'] as const;
const ERROR = { code: 'runner_failed', detail: '' } as const;

/** What the table must hold of a task, kept by the rules of schema.ts alone. */
interface Model {
  state: TaskState;
  attempt: number;
  failures: number;
  accepted: boolean;
  runnerPredictionId: string | null;
}

const isActive = ({ state }: Model): boolean => state === 'queued' || state === 'running';

/**
 * One random event on the table and on the model; both say whether it changed anything. Attempts are those of now, of
 * before, and of nobody, so that whoever comes late is played as well.
 */
function play(table: JobTable, models: Map<string, Model>, random: Random, now: number): void {
  const format = random.pick(FORMATS);
  const key = keyOf(format);
  const model = models.get(key);
  const attempt = Math.max(0, (model?.attempt ?? 0) - random.pick([0, 0, 0, 1, -1]));
  const isCurrent = model?.state === 'running' && model.attempt === attempt;
  const nothingRuns = [...models.values()].every(({ state }) => state !== 'running');
  const end = (state: TaskState): void => void (model && Object.assign(model, { state }));

  const events: Readonly<Record<string, () => void>> = {
    join() {
      const starts = model === undefined || !isActive(model);
      expect(table.join(requestFor(format), now)).toBe(starts);
      const fresh = { state: 'queued', failures: 0, accepted: false, runnerPredictionId: null } as const;
      if (starts) models.set(key, { ...fresh, attempt: model?.attempt ?? 0 });
    },
    claimAndBegin() {
      const task = table.claim(now);
      const mayRun = nothingRuns && [...models.values()].some(({ state }) => state === 'queued');
      expect(task !== undefined).toBe(mayRun);
      if (task === undefined) return;
      const claimed = models.get(task.key)!;
      expect(claimed).toMatchObject({ state: 'queued', attempt: task.attempt });
      Object.assign(claimed, { state: 'running', accepted: false });
      if (random.chance(0.2)) return;
      const runnerPredictionId = random.pick([null, `${task.key[0]}-${task.attempt + 1}`]);
      expect(table.begin(task, 'restore', runnerPredictionId)).toBe(true);
      expect(table.begin(task, 'restore', runnerPredictionId)).toBe(false);
      Object.assign(claimed, { attempt: task.attempt + 1, runnerPredictionId });
    },
    heard() {
      const id = random.pick([model?.runnerPredictionId ?? 'x', 'other']);
      const comesBack =
        model?.state === 'queued' && model.attempt === attempt && model.runnerPredictionId === id && nothingRuns;
      expect(table.heard(key, attempt, { id, byCallback: random.chance(0.5) }, now)).toBe(isCurrent || comesBack);
      if (model && (isCurrent || comesBack))
        Object.assign(model, { state: 'running', accepted: true, runnerPredictionId: id });
    },
    refuse() {
      const mayBeAlive = random.chance(0.5);
      expect(table.refuse(key, attempt, now, mayBeAlive)).toBe(isCurrent);
      if (!model || !isCurrent) return;
      Object.assign(model, { state: 'queued', accepted: false }, mayBeAlive ? {} : { runnerPredictionId: null });
    },
    retry() {
      const isLeft = isCurrent && model.failures + 1 < JOB_MAX_ATTEMPTS;
      expect(table.retry(key, attempt, () => now)).toBe(isLeft);
      if (!isLeft) return;
      Object.assign(model, {
        state: 'queued',
        accepted: false,
        runnerPredictionId: null,
        failures: model.failures + 1,
      });
    },
    succeed() {
      expect(table.succeed(key, REPORT, now)).toBe(model !== undefined && isActive(model));
      if (model && isActive(model)) end('succeeded');
    },
    fail() {
      expect(table.fail(key, attempt, ERROR, now)).toBe(isCurrent);
      if (isCurrent) end('failed');
    },
    expire() {
      expect(table.expire(key, ERROR, now)).toBe(model !== undefined && isActive(model));
      if (model && isActive(model)) end('failed');
    },
    cancel() {
      expect(table.cancel(key, now)).toBe(model !== undefined && isActive(model));
      if (model && isActive(model)) end('canceled');
    },
    failQueued() {
      const queued = [...models].filter(([, { state }]) => state === 'queued').map(([name]) => name);
      expect(table.failQueued(ERROR, now).sort()).toEqual(queued.sort());
      for (const name of queued) models.get(name)!.state = 'failed';
    },
    recover() {
      const died = [...models].filter(([, { state, accepted }]) => state === 'running' && !accepted);
      const lost = died.filter(([, { failures }]) => failures + 1 >= JOB_MAX_ATTEMPTS).map(([name]) => name);
      expect(table.recover(now)).toEqual(lost);
      for (const [, dead] of died) {
        Object.assign(dead, { state: dead.failures + 1 >= JOB_MAX_ATTEMPTS ? 'failed' : 'queued' });
        if (dead.state === 'queued') dead.failures++;
      }
    },
  };
  // Ends are rarer than beginnings, or nothing would ever get far.
  const often = ['join', 'claimAndBegin', 'heard', 'refuse', 'retry', 'recover'];
  events[random.pick([...Object.keys(events), ...often, ...often])]?.();
}

describe('the table of tasks', () => {
  it.each([1, 2, 3, 4, 5, 6])('keeps the rules of its schema under 400 random events (seed %i)', (seed) =>
    runInDurableObject(env.JOBS.get(env.JOBS.newUniqueId()), (_, { storage }) => {
      createTables(storage.sql);
      const table = new JobTable(storage.sql);
      const models = new Map<string, Model>();
      const random = randomFrom(seed);
      const seen = new Set<TaskState>();
      for (let i = 0; i < 400; i++) {
        play(table, models, random, 1_000 + i);
        for (const [key, model] of models) {
          const task = table.get(key);
          expect(task).toMatchObject({ state: model.state, attempt: model.attempt });
          if (isActive(model)) expect(task).toMatchObject({ runnerPredictionId: model.runnerPredictionId });
          seen.add(model.state);
        }
        expect([...models.values()].filter(({ state }) => state === 'running').length).toBeLessThanOrEqual(1);
      }
      expect([...seen].sort()).toEqual(['canceled', 'failed', 'queued', 'running', 'succeeded']);
    }),
  );

  it('takes the place of the table of version 0.1.0', () =>
    runInDurableObject(env.JOBS.get(env.JOBS.newUniqueId()), (_, { storage }) => {
      storage.sql.exec('CREATE TABLE task (result_key TEXT PRIMARY KEY)');
      createTables(storage.sql);
      expect(new JobTable(storage.sql).join(requestFor(), 0)).toBe(true);
      expect(storage.sql.exec(`SELECT name FROM sqlite_master WHERE name = 'task'`).toArray()).toEqual([]);
    }));
});

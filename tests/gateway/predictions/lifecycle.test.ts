/** A prediction's states, against whatever its job and its caller do. */
import { predictionSchema } from '@deblur/shared/protocol/prediction.ts';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { JobEvent } from '../../../workers/gateway/jobs/ports.ts';
import { below, randomFrom } from '../../shared/support/random.ts';
import { failed, later, processing, progress, settled, start, succeeded } from '../support/job-events.ts';
import { onStage } from '../support/subject.ts';

const DAY = 24 * 3600 * 1000;

afterEach(() => {
  vi.restoreAllMocks();
});

describe('a prediction', () => {
  it('follows its job to the end', () =>
    onStage({}, async (stage) => {
      const { subject, resultKey, now, id } = stage;
      await start(stage);
      expect(stage.calls).toEqual([`submit stage/${id}`]);
      expect(now()).toMatchObject({ revision: 1, startedRevision: null, prediction: { status: 'starting' } });
      await subject().onJobEvent(resultKey, 0, processing());
      expect(now()).toMatchObject({ revision: 2, startedRevision: 2, prediction: { status: 'processing' } });
      await subject().onJobEvent(resultKey, 1, progress(2));
      expect(now().prediction).toMatchObject({ progress: { done: 2, total: 4 }, logs: '50%|█████     | 2/4' });
      await stage.storeResult();
      await subject().onJobEvent(resultKey, 2, succeeded);
      const { prediction } = now();
      expect(predictionSchema.parse(prediction)).toEqual(prediction);
      expect(prediction).toMatchObject({
        status: 'succeeded',
        output: `https://deblur.test/v1/results/${resultKey}`,
        progress: { done: 4, total: 4 },
        metrics: { predict_time: 2.5, tiles: 4, megapixels: 0.5, placement: 'runner', cache: 'miss' },
      });
      expect(await stage.state.storage.getAlarm()).toBeGreaterThan(Date.now() + 29 * DAY);
    }));

  it('fails as its job fails', () =>
    onStage({}, async (stage) => {
      await start(stage);
      await stage.subject().onJobEvent(stage.resultKey, 0, failed);
      expect(stage.now().prediction).toMatchObject({
        status: 'failed',
        error: 'image_undecodable: The data is broken.',
        output: null,
        urls: { result: null },
      });
      expect(stage.calls).toHaveLength(1);
    }));

  it('does not believe a success without a result', () =>
    onStage({}, async (stage) => {
      await start(stage);
      await stage.subject().onJobEvent(stage.resultKey, 0, succeeded);
      expect(stage.now().prediction.error).toMatch(/^gone: /);
    }));

  it('ignores other jobs, and what was overtaken', () =>
    onStage({}, async (stage) => {
      const { subject, resultKey, now } = stage;
      await start(stage);
      await subject().onJobEvent('0'.repeat(64), 9, failed);
      await subject().onJobEvent(resultKey, 5, progress(3));
      await subject().onJobEvent(resultKey, 5, progress(4));
      await subject().onJobEvent(resultKey, 4, progress(4));
      await subject().onJobEvent(resultKey, 6, progress(1));
      expect(now().prediction).toMatchObject({ status: 'processing', progress: { done: 3 } });
    }));

  it('wakes who waits for a change, and who waits for the end', () =>
    onStage({}, async (stage) => {
      const { subject, resultKey } = stage;
      await start(stage);
      const change = subject().next(1, 10_000);
      const end = subject().next(null, 10_000);
      await subject().onJobEvent(resultKey, 0, processing());
      expect((await change)?.prediction.status).toBe('processing');
      await subject().onJobEvent(resultKey, 1, failed);
      expect((await end)?.prediction.status).toBe('failed');
      expect((await subject().next(1, 10_000))?.prediction.status).toBe('failed');
    }));
});

describe('whatever the order', () => {
  /** Late, repeated, overtaken and contradictory: what a queue, a lost runner and an impatient caller can do. */
  it.each(Array.from({ length: 40 }, (_, seed) => seed))('a prediction ends once, and for good (%i)', (seed) =>
    onStage({ webhooks: true, command: { webhook: 'https://example.com/hook' } }, async (stage) => {
      const random = randomFrom(seed);
      await start(stage);
      await stage.storeResult();
      const said: readonly JobEvent[] = [processing(), progress(1), progress(2), progress(4), succeeded, failed];
      const acts = [
        ...said.map((event, sequence) => () => stage.subject().onJobEvent(stage.resultKey, sequence, event)),
        ...said.map((event, sequence) => () => stage.subject().onJobEvent(stage.resultKey, sequence, event)),
        ...(seed % 2 === 0 ? [async () => void stage.subject().cancel()] : []),
        ...(seed % 3 === 0 ? [async () => stage.restart()] : []),
        async () => void (await stage.subject().create(stage.command)),
      ];
      const seen: { revision: number; status: string }[] = [];
      let ended: string | undefined;
      while (acts.length > 0) {
        const [act] = acts.splice(below(random, acts.length), 1);
        // Sometimes beside the next one instead of before it.
        const done = act!();
        if (random() < 0.7) await done;
        const { revision, prediction } = stage.now();
        seen.push({ revision, status: prediction.status });
        const isEnd = ['succeeded', 'failed', 'canceled'].includes(prediction.status);
        if (isEnd) ended ??= JSON.stringify(prediction);
        if (ended !== undefined) expect(JSON.stringify(prediction)).toBe(ended);
      }
      await settled();
      expect(JSON.stringify(stage.now().prediction)).toBe(ended ?? JSON.stringify(stage.now().prediction));
      expect(['succeeded', 'failed', 'canceled']).toContain(stage.status());
      const revisions = seen.map(({ revision }) => revision);
      expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
      const order = ['starting', 'processing', 'succeeded', 'failed', 'canceled'];
      const states = seen.map(({ status }) => Math.min(order.indexOf(status), 2));
      expect(states).toEqual([...states].sort((a, b) => a - b));
      expect(stage.deliveries.map(({ type }) => type)).toEqual(['prediction.completed']);
      // The job is left by whom it had not told its end.
      const left = stage.calls.filter((call) => call.startsWith('leave')).length;
      expect(left).toBe(stage.status() === 'canceled' ? 1 : 0);
    }),
  );
});

describe('cancel', () => {
  it('before the job has answered leaves it all the same', () => {
    const joining = Promise.withResolvers<undefined>();
    return onStage({ submit: () => joining.promise }, async (stage) => {
      await start(stage);
      expect(stage.subject().cancel()?.prediction.status).toBe('canceled');
      await settled();
      expect(stage.calls).toEqual([`submit stage/${stage.id}`]);
      joining.resolve(undefined);
      await settled();
      expect(stage.calls).toEqual([`submit stage/${stage.id}`, `leave stage/${stage.id}`]);
    });
  });

  it.each(['starting', 'processing'])('while it is %s leaves the job', (status) =>
    onStage({}, async (stage) => {
      await start(stage);
      if (status === 'processing') await stage.subject().onJobEvent(stage.resultKey, 0, processing());
      expect(stage.status()).toBe(status);
      const canceled = stage.subject().cancel();
      await settled();
      expect(stage.calls.at(-1)).toBe(`leave stage/${stage.id}`);
      await stage.storeResult();
      await stage.subject().onJobEvent(stage.resultKey, 9, succeeded);
      expect(stage.now()).toEqual(canceled);
    }),
  );

  it.each([succeeded, failed])('after the end changes nothing', (event) =>
    onStage({}, async (stage) => {
      await start(stage);
      await stage.storeResult();
      await stage.subject().onJobEvent(stage.resultKey, 0, event);
      const ended = stage.now();
      expect(stage.subject().cancel()).toEqual(ended);
      await settled();
      expect(stage.calls).toHaveLength(1);
    }),
  );

  it('while the source is fetched ends the fetch, and asks no job', () => {
    let aborted = false;
    const fetch = (_: string, signal?: AbortSignal): Promise<never> =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => {
          aborted = true;
          reject(new Error('aborted'));
        });
      });
    const url = 'https://example.com/a.png';
    return onStage(
      { ports: { sourceFetcher: { fetch } }, command: { source: { kind: 'url', url } } },
      async (stage) => {
        await start(stage);
        expect(stage.subject().cancel()?.prediction.status).toBe('canceled');
        await settled();
        expect(aborted).toBe(true);
        expect(stage.calls).toEqual([]);
        expect(stage.status()).toBe('canceled');
      },
    );
  });

  it('is told to the job again when that cannot be reached', () => {
    let attempts = 0;
    const leave = async (): Promise<void> => {
      if (++attempts < 3) throw new Error('unreachable');
    };
    return onStage({ leave }, async (stage) => {
      await start(stage);
      stage.subject().cancel();
      await settled();
      for (const pause of [1_000, 2_000]) {
        later(pause);
        await stage.subject().alarm();
      }
      expect(attempts).toBe(3);
      later(60_000);
      await stage.subject().alarm();
      expect(attempts).toBe(3);
    });
  });
});

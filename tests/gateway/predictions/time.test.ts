/** What a prediction does by itself: its deadline, its retries, its end after an object's death, its webhook, its retention. */
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { predictionSchema } from '@deblur/shared/protocol/prediction.ts';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { later, processing, progress, settled, start, succeeded } from '../support/job-events.ts';
import { png, streamOf } from '../support/pictures.ts';
import type { ResultStore } from '../../../workers/gateway/results/result-store.ts';
import { onStage } from '../support/subject.ts';

const DAY = 24 * 3600 * 1000;

afterEach(() => {
  vi.restoreAllMocks();
});

describe('time', () => {
  it('ends what has passed its deadline, and leaves the job', () =>
    onStage({ command: { deadlineSeconds: 30 } }, async (stage) => {
      await start(stage);
      await stage.subject().onJobEvent(stage.resultKey, 0, processing());
      expect(await stage.state.storage.getAlarm()).toBeLessThanOrEqual(Date.now() + 30_000);
      later(29_000);
      await stage.subject().alarm();
      expect(stage.status()).toBe('processing');
      later(1_000);
      await stage.subject().alarm();
      expect(stage.now().prediction).toMatchObject({
        status: 'failed',
        error: expect.stringMatching(/^deadline_exceeded: /),
        metrics: { total_time: expect.closeTo(30, 0) },
      });
      expect(stage.calls.at(-1)).toBe(`leave stage/${stage.id}`);
      await stage.storeResult();
      await stage.subject().onJobEvent(stage.resultKey, 1, succeeded);
      expect(stage.status()).toBe('failed');
    }));

  it('goes on after its object died before the job was asked', () => {
    let dead = true;
    const submit = (): Promise<void> => (dead ? new Promise(() => undefined) : Promise.resolve());
    return onStage({ submit }, async (stage) => {
      await start(stage);
      expect(await stage.state.storage.getAlarm()).toBeLessThanOrEqual(Date.now() + 30_000);
      dead = false;
      stage.restart();
      await stage.subject().alarm();
      expect(stage.calls).toEqual([`submit stage/${stage.id}`, `submit stage/${stage.id}`]);
      await stage.storeResult();
      await stage.subject().onJobEvent(stage.resultKey, 0, succeeded);
      expect(stage.status()).toBe('succeeded');
    });
  });

  it('asks a job that cannot be reached until the deadline, ever more slowly', () => {
    const submit = (): Promise<never> => Promise.reject(new DeblurError('runner_busy', 'The queue is full.'));
    return onStage({ submit, command: { deadlineSeconds: 600 } }, async (stage) => {
      await start(stage);
      const pauses: number[] = [];
      while (stage.status() === 'starting') {
        const due = (await stage.state.storage.getAlarm()) ?? 0;
        pauses.push(Math.round((due - Date.now()) / 1000));
        later(due - Date.now());
        await stage.subject().alarm();
      }
      expect(pauses.slice(0, 8)).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
      expect(stage.now().prediction.error).toMatch(/^deadline_exceeded: /);
    });
  });

  it('gives a source that kills its object up', () => {
    const url = 'https://example.com/a.png';
    const fetch = (): Promise<never> => new Promise(() => undefined);
    return onStage(
      { ports: { sourceFetcher: { fetch } }, command: { source: { kind: 'url', url } } },
      async (stage) => {
        await start(stage);
        for (let death = 1; death <= 3; death++) {
          stage.restart();
          void stage.subject().alarm();
          await settled();
        }
        expect(stage.now().prediction).toMatchObject({
          status: 'failed',
          error: expect.stringMatching(/^internal: Gave up after 3 attempts/),
        });
      },
    );
  });

  it('forgets the data after thirty days and everything after ninety', () =>
    onStage({ webhooks: true, command: { webhook: 'https://example.com/hook' } }, async (stage) => {
      await start(stage);
      await stage.storeResult();
      await stage.subject().onJobEvent(stage.resultKey, 0, succeeded);
      const { prediction } = stage.now();
      later(30 * DAY);
      await stage.subject().alarm();
      expect(stage.now().prediction).toEqual({
        ...prediction,
        input: {},
        output: null,
        logs: '',
        urls: { ...prediction.urls, result: null },
        data_removed: true,
      });
      later(60 * DAY);
      await stage.subject().alarm();
      expect(stage.subject().read()).toBeNull();
    }));
});

describe('a webhook', () => {
  it.each([
    [null, ['completed']],
    [
      ['start', 'completed'],
      ['start', 'completed'],
    ],
    [['logs'], ['logs', 'logs']],
    [
      ['start', 'output', 'logs', 'completed'],
      ['start', 'logs', 'logs', 'output', 'completed'],
    ],
    [[], []],
  ] as const)('with the filter %o is told of %o', (webhookEvents, expected) =>
    onStage({ webhooks: true, command: { webhook: 'https://example.com/hook', webhookEvents } }, async (stage) => {
      await start(stage);
      await stage.storeResult();
      for (const [sequence, event] of [processing(), progress(1), progress(4), succeeded].entries()) {
        await stage.subject().onJobEvent(stage.resultKey, sequence, event);
      }
      expect(stage.deliveries.map(({ type }) => type)).toEqual(expected.map((event) => `prediction.${event}`));
      for (const { body, url, type } of stage.deliveries) {
        const { type: said, timestamp, ...prediction } = JSON.parse(body) as Record<string, unknown>;
        expect([said, url]).toEqual([type, 'https://example.com/hook']);
        expect(timestamp).toMatch(/^\d{4}-\d\d-\d\dT/);
        predictionSchema.parse(prediction);
      }
    }),
  );
});

describe('a source by address', () => {
  const url = 'https://example.com/a.png';
  const source = { kind: 'url', url } as const;
  const image = png({ width: 20, height: 10 });
  const header = { format: 'png', width: 20, height: 10, bitDepth: 8, cmyk: false } as const;

  it('is asked for again when that may help, and restored when it comes', () => {
    let requests = 0;
    const kept: string[] = [];
    const fetch = async () => {
      if (++requests < 3)
        throw new DeblurError('source_fetch_failed', 'Its host answered 503.', { retryAfterSeconds: 5 });
      return Object.assign(streamOf(image), { etag: null });
    };
    const receive = async () => ({
      digest: 'd'.repeat(64),
      bytes: image.length,
      header: header as never,
      keep: async () => void kept.push('kept'),
      discard: async () => void kept.push('discarded'),
    });
    return onStage(
      { ports: { sourceFetcher: { fetch }, sources: { receive } }, command: { source } },
      async (stage) => {
        await start(stage);
        expect(stage.status()).toBe('starting');
        for (const pause of [1_000, 2_000]) {
          later(pause);
          await stage.subject().alarm();
        }
        expect(kept).toEqual(['kept', 'discarded']);
        expect(stage.calls).toEqual([`submit stage/${stage.id}`]);
        expect(stage.now().prediction.urls.result).toMatch(/\/v1\/results\/[0-9a-f]{64}$/);
      },
    );
  });

  it('is taken in again after the store has stumbled', () => {
    let stumbles = 2;
    const get = async () => {
      if (stumbles-- > 0) throw new Error('R2 gave an internal error');
      return null;
    };
    const ports = {
      sourceFetcher: { fetch: async () => Object.assign(streamOf(image), { etag: null }) },
      results: { get } as unknown as ResultStore,
    };
    return onStage({ ports, command: { source } }, async (stage) => {
      await start(stage);
      for (const pause of [1_000, 2_000]) {
        expect([stage.status(), stage.calls]).toEqual(['starting', []]);
        later(pause);
        await stage.subject().alarm();
      }
      expect(stage.calls).toEqual([`submit stage/${stage.id}`]);
    });
  });

  const placed = { kind: 'stored', placement: 'runner', body: { cancel: async () => undefined } };

  it.each([
    ['is paid for before it is restored', null, true, [3], 'starting', 1],
    ['is not paid for when its result is there', placed, true, [], 'succeeded', 0],
    ['is not restored when it cannot be paid for', null, false, [3], 'failed', 0],
  ] as const)('%s', (_, stored, allowed, expected, status, submitted) => {
    const paid: number[] = [];
    const charge = async (_account: unknown, megapixels: number) => {
      paid.push(megapixels);
      return { allowed, remaining: 1, resetSeconds: 1, retryAfterSeconds: 1, limit: 'this tenant' };
    };
    const ports = {
      sourceFetcher: { fetch: async () => Object.assign(streamOf(png({ width: 2000, height: 2000 })), { etag: null }) },
      results: { get: async () => stored } as unknown as ResultStore,
      rateLimits: { charge },
    };
    return onStage({ ports, command: { source } }, async (stage) => {
      await start(stage);
      expect(paid).toEqual(expected);
      const error =
        status === 'failed'
          ? expect.stringMatching(
              /^rate_limited: This request costs 3\.0 megapixels and 1\.0 are left .* of this tenant\./,
            )
          : null;
      expect(stage.now().prediction).toMatchObject({ status, error });
      expect(stage.calls).toHaveLength(submitted);
    });
  });

  it.each([
    ['three times in vain', { retryAfterSeconds: 5 }, 3],
    ['once, when it will not help', {}, 1],
  ])('is asked for %s', (_, options, expected) => {
    let requests = 0;
    const fetch = async (): Promise<never> => {
      requests++;
      throw new DeblurError('source_fetch_failed', 'Its host answered so.', options);
    };
    return onStage({ ports: { sourceFetcher: { fetch } }, command: { source } }, async (stage) => {
      await start(stage);
      for (let i = 0; i < 4; i++) {
        later(10_000);
        await stage.subject().alarm();
      }
      expect(requests).toBe(expected);
      expect(stage.now().prediction.error).toBe('source_fetch_failed: Its host answered so.');
      expect(stage.calls).toEqual([]);
    });
  });
});

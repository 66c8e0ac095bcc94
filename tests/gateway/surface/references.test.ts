import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { RESULT_RETENTION_SECONDS } from '@deblur/shared/limits.ts';
import type { ResultOrigin } from '../../../workers/gateway/references/ports.ts';
import { RestorationReferences, type ReferencePorts } from '../../../workers/gateway/references/reference-object.ts';
import { ReferenceTable } from '../../../workers/gateway/references/reference-table.ts';

// Objects outlive a test: each has one of its own.
let names = 0;
beforeEach(() => void names++);

describe('the references of a restoration', () => {
  const [A, B] = ['a'.repeat(64), 'b'.repeat(64)];

  /** A table in an object that nothing else uses. */
  function withTable<T>(use: (table: ReferenceTable) => T): Promise<T> {
    const stub = env.REFERENCES.getByName(`table-${names}`);
    return runInDurableObject(stub, (_, { storage }) => use(new ReferenceTable(storage)));
  }

  it('follow a derived result to its end, unless it was asked for itself', async () => {
    const erased = await withTable((table) => {
      table.hold(A, 'anna', 100, 50);
      table.hold(A, 'bert', 100, 50);
      table.derive(A, B);
      table.hold(B, 'bert', 100, 50);
      return [table.release(A, 'anna', 0), table.release(A, 'bert', 0), table.release(B, 'bert', 0)];
    });
    expect(erased).toEqual([[], [A], [B]]);
  });

  it('are not derived from what nobody holds', async () => {
    expect(await withTable((table) => table.derive(A, B))).toBe(false);
  });

  it('are renewed in the second half of their time only, and end', async () => {
    const seen = await withTable((table) => {
      const renewed = [50, 90, 140].map((renewBefore) => {
        if (table.outlasts(A, 'anna', renewBefore)) return false;
        table.hold(A, 'anna', renewBefore + 50, renewBefore);
        return true;
      });
      table.hold(A, 'anna', 200, 190);
      return [
        renewed,
        (table.expire(189), table.isHolder('anna')),
        (table.expire(190), table.isHolder('anna')),
        table.nextAt(),
      ];
    });
    expect(seen).toEqual([[true, false, true], true, false, null]);
  });

  it('keep what is to be erased until it is done', async () => {
    const stages = await withTable((table) => {
      table.hold(A, 'anna', RESULT_RETENTION_SECONDS, 0);
      table.release(A, null, 10);
      const [bytes] = table.dueErasures('bytes', 10);
      table.postpone(bytes!, 20);
      const early = table.dueErasures('bytes', 19);
      const [again] = table.dueErasures('bytes', 20);
      table.proceedToCaches(again!, 30);
      const [caches] = table.dueErasures('caches', 30);
      table.finish(caches!);
      return [bytes, early, again, caches, table.nextAt()];
    });
    expect(stages).toEqual([
      { resultKey: A, stage: 'bytes', attempts: 0 },
      [],
      { resultKey: A, stage: 'bytes', attempts: 1 },
      { resultKey: A, stage: 'caches', attempts: 0 },
      null,
    ]);
  });
});

describe('the record in the bucket', () => {
  const key = 'e'.repeat(64);
  const restorationKey = 'f'.repeat(64);
  const origin = { request: { task: { resultKey: key, restorationKey } } } as unknown as ResultOrigin;

  class Unbound extends RestorationReferences {}

  const withRecords = <T>(put: () => Promise<void>, use: (object: Unbound, done: string[]) => Promise<T>) => {
    const done: string[] = [];
    const note = (what: string) => async (): Promise<void> => void done.push(what);
    const ports: ReferencePorts = {
      results: { delete: (kind) => note(`delete ${kind}`)() },
      origins: { put: () => put().then(note('write')), putErased: note('bury') },
      purge: { purge: note('purge') },
    };
    return runInDurableObject(env.REFERENCES.getByName(`records-${names}`), (_, state) =>
      use(new Unbound(state, env, ports), done),
    );
  };

  it('is written before the reference, so that a failure leaves neither and the next try writes both', async () => {
    let failures = 1;
    const put = async (): Promise<void> => {
      if (failures-- > 0) throw new Error('bucket failed');
    };
    await withRecords(put, async (object, done) => {
      await expect(object.acquire('anna', origin)).rejects.toThrow();
      expect(await object.release('anna', key, restorationKey)).toBeNull();
      expect(await object.acquire('anna', origin)).toEqual({ own: false });
      expect(await object.acquire('anna', origin)).toEqual({ own: true });
      expect(done).toEqual(['write']);
      expect(await object.release('anna', key, restorationKey)).toEqual({ erased: [key] });
    });
  });

  it('is not buried by a release that comes while it is written', async () => {
    await withRecords(
      () => new Promise((resolve) => setTimeout(resolve, 50)),
      async (object, done) => {
        await object.acquire('anna', origin);
        const acquired = object.acquire('bert', origin);
        const released = object.release('anna', key, restorationKey);
        expect([await acquired, await released]).toEqual([{ own: false }, { erased: expect.anything() }]);
        // Whichever came first: what is held is recorded.
        expect(done.lastIndexOf('write')).toBeGreaterThan(done.indexOf('bury'));
      },
    );
  });
});

describe('what cannot be erased at once', () => {
  const key = 'c'.repeat(64);
  const origin = { request: { task: { resultKey: key, restorationKey: 'd'.repeat(64) } } } as unknown as ResultOrigin;

  class Unbound extends RestorationReferences {}

  /** An object whose bucket and caches fail as often as said, and what they were asked. */
  async function withFailures<T>(
    failures: Record<'bucket' | 'caches', number>,
    use: (object: Unbound, done: string[]) => Promise<T>,
  ) {
    const done: string[] = [];
    const step = (part: 'bucket' | 'caches', what: string) => async (): Promise<void> => {
      if (failures[part]-- > 0) throw new Error(`${part} failed`);
      done.push(what);
    };
    const ports: ReferencePorts = {
      results: { delete: (kind) => step('bucket', `delete ${kind}`)() },
      origins: { put: async () => undefined, putErased: step('bucket', 'bury') },
      purge: { purge: step('caches', 'purge') },
    };
    const now = vi.spyOn(Date, 'now');
    try {
      return await runInDurableObject(env.REFERENCES.getByName(`failing-${names}`), (_, state) =>
        use(new Unbound(state, env, ports), done),
      );
    } finally {
      now.mockRestore();
    }
  }

  const later = (minutes: number) => vi.mocked(Date.now).mockReturnValue(Date.parse('2031-01-01') + minutes * 60_000);

  it('is erased by the alarm, and once', async () => {
    await withFailures({ bucket: 2, caches: 1 }, async (object, done) => {
      later(0);
      await object.acquire('anna', origin);
      expect(await object.release('anna', key, 'd'.repeat(64))).toEqual({ erased: [key] });
      expect(done).toEqual([]);
      for (const minutes of [1, 2, 3, 4]) {
        later(minutes);
        await object.alarm();
      }
      expect(done).toEqual(['bury', 'delete result', 'delete master', 'purge']);
    });
  });

  it('is not erased when somebody holds it again', async () => {
    await withFailures({ bucket: 1, caches: 0 }, async (object, done) => {
      later(0);
      await object.acquire('anna', origin);
      await object.release('anna', key, 'd'.repeat(64));
      await object.acquire('bert', origin);
      later(1);
      await object.alarm();
      expect(done).toEqual(['purge']);
    });
  });

  it('is tried again for hours in the caches, then left to its age', async () => {
    await withFailures({ bucket: 0, caches: Infinity }, async (object, done) => {
      later(0);
      await object.acquire('anna', origin);
      await object.release('anna', key, 'd'.repeat(64));
      for (let hour = 0; hour < 24; hour++) {
        later(hour * 60);
        await object.alarm();
      }
      expect(done).toEqual(['bury', 'delete result', 'delete master']);
    });
    const stub = env.REFERENCES.getByName(`failing-${names}`);
    expect(await runInDurableObject(stub, (_, { storage }) => storage.getAlarm())).toBeNull();
  });
});

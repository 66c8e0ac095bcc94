import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import type { TileSession } from '@deblur/shared/pixels/ports.ts';
import type { RawImage } from '@deblur/shared/pixels/raw-image.ts';
import { describe, expect, it } from 'vitest';
import { noise } from './support/pictures.ts';
import { below, randomFrom } from './support/random.ts';
import { expectSame, mapping, restore } from './support/restoring.ts';

describe('tiles that finish out of order', () => {
  /** Each tile takes a random number of turns, and comes out changed by what it is and where it lies in the tile. */
  function shuffled(seed: number): TileSession {
    const random = randomFrom(seed);
    const changed = mapping((value, i, tile) => (value * 3 + (i % 97) + tile.data[0]!) % 251);
    return {
      async run(tile, signal) {
        for (let turns = below(random, 40); turns > 0; turns--) await Promise.resolve();
        return changed.run(tile, signal);
      },
    };
  }

  it('give the same bytes as one after the other', async () => {
    const image = noise(420, 310, 3);
    const expected = await restore(image, { session: shuffled(1) });
    for (const [seed, concurrency] of [
      [2, 2],
      [3, 5],
      [4, 16],
      [5, 1000],
    ] as const) {
      const actual = await restore(image, { session: shuffled(seed), concurrency });
      expectSame(actual.image, expected.image, `${concurrency} in flight`);
    }
  });

  it('are reported one by one, and never more than asked for are in flight', async () => {
    let running = 0;
    let most = 0;
    const session: TileSession = {
      async run(tile, signal) {
        most = Math.max(most, ++running);
        await shuffled(9).run(tile, signal);
        running--;
        return tile;
      },
    };
    const progress: string[] = [];
    const onProgress = (done: number, total: number): void => void progress.push(`${done}/${total}`);
    const { tiles } = await restore(noise(420, 310, 1), { session, concurrency: 4, onProgress });
    expect(most).toBe(4);
    expect(progress).toEqual(Array.from({ length: tiles }, (_, i) => `${i + 1}/${tiles}`));
  });
});

describe('lines that are final', () => {
  it.each([1, 3, 50])('are told from the top as soon as they are: %i in flight', async (concurrency) => {
    const told: { until: number; lines: ArrayLike<number> }[] = [];
    const onLines = async (image: RawImage, until: number): Promise<void> => {
      await new Promise((resolve) => setImmediate(resolve));
      told.push({ until, lines: image.data.slice(0, until * image.width * image.channels) });
    };
    const { image } = await restore(noise(420, 310, 4), {
      session: mapping((value) => 255 - value),
      concurrency,
      onLines,
    });
    expect(told.length).toBeGreaterThan(2);
    expect(told.map(({ until }) => until)).toEqual(told.map(({ until }) => until).sort((a, b) => a - b));
    expect(told.at(-1)!.until).toBe(310);
    for (const { until, lines } of told) {
      expect(lines, `the first ${until}`).toEqual(image.data.slice(0, lines.length));
    }
  });

  it('that cannot be taken end the restoration, and leave nothing running', async () => {
    const full = new Error('full');
    let running = 0;
    const session: TileSession = {
      async run(tile) {
        running++;
        await new Promise((resolve) => setImmediate(resolve));
        running--;
        return tile;
      },
    };
    const onLines = (): Promise<void> => Promise.reject(full);
    await expect(restore(noise(420, 310, 3), { session, concurrency: 5, onLines })).rejects.toBe(full);
    expect(running).toBe(0);
  });
});

describe('a restoration that cannot go on', () => {
  const image = noise(420, 310, 3);
  const busy = new DeblurError('runner_failed', 'No.');

  /** Counts what runs; `decide` may throw for tile number n. */
  function counting(decide: (n: number) => void): {
    session: TileSession;
    running: () => number;
    started: () => number;
  } {
    let running = 0;
    let started = 0;
    const session: TileSession = {
      async run(tile) {
        const n = started++;
        running++;
        try {
          for (let turns = 10 + (n % 3) * 10; turns > 0; turns--) await Promise.resolve();
          decide(n);
          return tile;
        } finally {
          running--;
        }
      },
    };
    return { session, running: () => running, started: () => started };
  }

  it.each([1, 3, 50])(
    'rejects with the failure of a tile and leaves nothing running: %i in flight',
    async (concurrency) => {
      const { session, running, started } = counting((n) => {
        if (n >= 4) throw busy;
      });
      await expect(restore(image, { session, concurrency })).rejects.toBe(busy);
      expect(running()).toBe(0);
      expect(started()).toBeLessThanOrEqual(4 + concurrency);
    },
  );

  it.each([1, 3, 50])('rejects with the reason of an abort, between tiles: %i in flight', async (concurrency) => {
    const controller = new AbortController();
    const reason = new Error('cancelled by its caller');
    const { session, running, started } = counting((n) => {
      if (n === 3) controller.abort(reason);
    });
    await expect(restore(image, { session, concurrency, signal: controller.signal })).rejects.toBe(reason);
    expect(running()).toBe(0);
    expect(started()).toBeLessThanOrEqual(4 + concurrency);
  });

  /** The test run itself fails on a rejection that nobody handles. */
  it('handles a tile that fails long before its turn', async () => {
    let n = 0;
    const session: TileSession = {
      async run(tile) {
        if (n++ > 0) throw busy;
        for (let turns = 5; turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
        return tile;
      },
    };
    await expect(restore(image, { session, concurrency: 4 })).rejects.toBe(busy);
  });

  it('does not begin when it is aborted already', async () => {
    const { session, started } = counting(() => undefined);
    const signal = AbortSignal.abort();
    await expect(restore(image, { session, signal })).rejects.toBe(signal.reason);
    expect(started()).toBe(0);
  });

  it('leaves nothing running when a listener throws', async () => {
    const { session, running } = counting(() => undefined);
    const broken = new Error('listener');
    const onProgress = (): void => {
      throw broken;
    };
    await expect(restore(image, { session, concurrency: 5, onProgress })).rejects.toBe(broken);
    expect(running()).toBe(0);
  });

  it('leaves nothing running when blending finds the failure', async () => {
    const { session, running } = counting(() => undefined);
    const wrong: TileSession = {
      async run(tile, signal) {
        await session.run(tile, signal);
        return { ...tile, data: tile.data.map(() => Number.NaN) as typeof tile.data };
      },
    };
    const sixteen = noise(420, 310, 3, 16);
    await expect(restore(sixteen, { session: wrong, concurrency: 9 })).rejects.toMatchObject({ code: 'runner_failed' });
    expect(running()).toBe(0);
  });
});

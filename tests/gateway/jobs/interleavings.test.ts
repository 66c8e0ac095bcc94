import { JOB_LEASE_MS } from '@deblur/shared/limits.ts';
import { describe, expect, it } from 'vitest';
import type { JobReply } from '../../../workers/gateway/jobs/ports.ts';
import type { RemoteState } from '../../../workers/gateway/runners/ports.ts';
import { onBench, type Bench } from './harness.ts';
import { keyOf, requestFor } from './requests.ts';
import { randomFrom, type Random } from './random.ts';

const FORMATS = ['png', 'webp', 'jpeg'] as const;

/** A world in which everything that may go wrong does, in an order of its own for each seed. */
class World {
  readonly bench: Bench;
  readonly random: Random;
  readonly following = new Map<string, (typeof FORMATS)[number]>();
  readonly gone = new Set<string>();
  readonly answers: Promise<JobReply>[] = [];
  /** Callbacks under way: they come in any order, late, twice, or never. */
  readonly underWay: RemoteState[] = [];
  #next = 0;

  constructor(bench: Bench, random: Random) {
    this.bench = bench;
    this.random = random;
  }

  async step(): Promise<void> {
    const { bench, random } = this;
    const format = random.pick(FORMATS);
    const events: readonly (() => unknown)[] = [
      () => this.#follow(format),
      () => this.#follow(format),
      () => this.#leave(),
      () => this.answers.push(bench.job.obtain(requestFor(format))),
      () => this.#work(),
      () => this.#work(),
      () => this.#work(),
      () => this.#callback(),
      () => this.#callback(),
      () => this.#callback(),
      () => this.#message(),
      () => (bench.gpu.isDown = random.chance(0.5)),
      () => (bench.gpu.refusals = [random.pick(['busy', 'unavailable', 'answer lost'] as const)]),
      () => random.chance(0.3) && bench.gpu.restart(),
      () => random.chance(0.3) && this.#die(),
      () => (bench.deaf = random.pick([undefined, undefined, 'before', 'after'] as const)),
      () => bench.advance(random.pick([1, 300, 5_000, JOB_LEASE_MS, 60_000])),
    ];
    await random.pick(events)();
    await bench.settle();
  }

  /** Nothing goes wrong any more, and time passes. */
  async calm(): Promise<void> {
    const { bench } = this;
    bench.deaf = undefined;
    bench.gpu.isDown = false;
    bench.gpu.refusals = [];
    for (let round = 0; round < 40; round++) {
      for (const [id, { state }] of bench.gpu.predictions) {
        if (state.status === 'starting' || state.status === 'processing') bench.gpu.step(id, 'succeeded');
      }
      await bench.advance(JOB_LEASE_MS);
      await bench.dispatchLast();
      await bench.settle();
    }
    await bench.advance(1_300_000);
  }

  #follow(format: (typeof FORMATS)[number]): void {
    const again = this.random.chance(0.2) ? [...this.following.keys()].at(-1) : undefined;
    const id = again ?? `p${this.#next++}`;
    const of = this.following.get(id) ?? format;
    this.following.set(id, of);
    this.bench.submit(id, requestFor(of), 86_400_000);
  }

  #leave(): void {
    const staying = [...this.following.keys()].filter((id) => !this.gone.has(id));
    if (staying.length === 0) return;
    const id = this.random.pick(staying);
    this.gone.add(id);
    this.bench.job.leave(keyOf(this.following.get(id)!), id);
  }

  /** The runner goes on with something, and calls back about it. */
  #work(): void {
    const { gpu } = this.bench;
    const ids = [...gpu.predictions.keys()];
    if (ids.length === 0) return;
    const fault = { code: 'runner_failed', detail: 'It broke.' } as const;
    const status = this.random.pick(['processing', 'processing', 'succeeded', fault] as const);
    this.underWay.push(gpu.step(this.random.pick(ids), status, [this.random.below(4), 4]));
  }

  async #callback(): Promise<void> {
    if (this.underWay.length === 0) return;
    const index = this.random.below(this.underWay.length);
    const said = this.underWay[index]!;
    if (this.random.chance(0.7)) this.underWay.splice(index, 1);
    await this.bench.callback(said, said.id[0]!.repeat(64));
  }

  async #message(): Promise<void> {
    const { bench, random } = this;
    // The newest, perhaps twice, and perhaps one that was given up for lost.
    const late = random.chance(0.3) && bench.messages.length > 0 ? [random.pick(bench.messages).message.number] : [];
    const calls = late.map((number) => bench.job.dispatch(number));
    await Promise.all([bench.dispatchLast(), ...(random.chance(0.3) ? [bench.dispatchLast()] : []), ...calls]);
  }

  /** With the object die the calls that wait on it; their callers see an error and ask again. */
  #die(): void {
    this.answers.length = 0;
    this.bench.restart();
  }
}

describe('whatever happens, in whatever order', () => {
  it.each(Array.from({ length: 24 }, (_, i) => i + 1))('every job ends well and once (seed %i)', async (seed) => {
    await onBench(async (bench) => {
      const world = new World(bench, randomFrom(seed));
      for (let i = 0; i < 60; i++) {
        await world.step();
        const running = FORMATS.filter((format) => bench.stateOf(keyOf(format)) === 'running');
        expect(running.length).toBeLessThanOrEqual(1);
      }
      await world.calm();

      for (const format of FORMATS) {
        const state = bench.stateOf(keyOf(format));
        expect([undefined, 'succeeded', 'failed', 'canceled']).toContain(state);
        if (state === 'succeeded') expect(bench.shelf.has(keyOf(format))).toBe(true);
      }
      for (const reply of await Promise.all(world.answers)) expect(typeof reply.ok).toBe('boolean');
      for (const id of world.following.keys()) {
        const told = bench.told.get(id) ?? [];
        const types = bench.eventsOf(id);
        const ends = types.filter((type) => type === 'succeeded' || type === 'failed');
        if (!world.gone.has(id)) expect([id, ends.length]).toEqual([id, 1]);
        expect(ends.length).toBeLessThanOrEqual(1);
        if (ends.length === 1) expect(types.at(-1)).toBe(ends[0]);
        expect(types.filter((type) => type === 'processing').length).toBeLessThanOrEqual(1);
        const sequences = told.map(({ sequence }) => sequence);
        expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b));
      }
      // Nothing is left at work that nobody wants.
      const atWork = [...bench.gpu.predictions.values()].filter(({ state }) => state.status === 'processing');
      expect(atWork).toEqual([]);
    })();
  });
});

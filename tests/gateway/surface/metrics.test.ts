import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { STATS_JOB_LEASE_MS, STATS_MAX_SERIES, STATS_REPORTER_TTL_MS } from '@deblur/shared/limits.ts';
import { CounterBatches } from '../../../workers/gateway/metrics/counter-batches.ts';
import scaledObject from '../../../gpu-runner/deploy/kubernetes/scaled-object.yaml?raw';
import { exposition, seriesName } from '../../../workers/gateway/metrics/exposition.ts';
import { StatsTable } from '../../../workers/gateway/metrics/stats-table.ts';
import { call, deblur, edge, problem, problemOf, until } from '../support/gateway.ts';
import { png } from '../support/pictures.ts';

const scrape = (token = env.METRICS_TOKEN ?? ''): Promise<Response> =>
  call('/metrics', { headers: { authorization: `Bearer ${token}` } });

/** The samples of a scrape. */
async function samples(): Promise<ReadonlyMap<string, number>> {
  const lines = (await (await scrape()).text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

/** Counts come a second late: what was done before must not be counted among what follows. */
async function settled(names: readonly string[]): Promise<ReadonlyMap<string, number>> {
  for (let before = await samples(); ;) {
    await new Promise((resolve) => setTimeout(resolve, 2500));
    const after = await samples();
    if (names.every((name) => before.get(name) === after.get(name))) return after;
    before = after;
  }
}

/** What these series rise by while something is done. */
async function risesBy(wanted: Readonly<Record<string, number>>, work: () => Promise<unknown>): Promise<void> {
  const before = await settled(Object.keys(wanted));
  await work();
  const risen = async () => {
    const after = await samples();
    return Object.fromEntries(
      Object.keys(wanted).map((name) => [name, (after.get(name) ?? 0) - (before.get(name) ?? 0)]),
    );
  };
  await until(async () => {
    const now = await risen();
    return Object.entries(wanted).every(([name, by]) => (now[name] ?? 0) >= by);
  });
  expect(await risen()).toEqual(wanted);
}

describe('GET /metrics', () => {
  it('is the operator’s', async () => {
    for (const token of ['', 'wrong', `${env.METRICS_TOKEN}x`, 'x'.repeat(600)]) {
      expect(await problemOf(await scrape(token))).toEqual(problem(403, 'forbidden'));
    }
    expect(await problemOf(await call('/metrics'))).toEqual(problem(403, 'forbidden'));
  });

  it('tells what KEDA wakes the first runner on, before any job was there', async () => {
    const [, name] =
      /url: https:\S+\/metrics\n\s+format: prometheus\n\s+valueLocation: (\w+)\n/.exec(scaledObject) ?? [];
    expect(name).toMatch(/^deblur_/);
    expect((await samples()).get(name ?? '')).toBeGreaterThanOrEqual(0);
  });

  it('is Prometheus text', async () => {
    const response = await scrape();
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(response.headers.get('cache-control')).toBe('no-store');
    const sample =
      /^[a-z_]+(?:\{[a-z_]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\["\\n])*")*\})? -?[\d.e+]+$/;
    const wrong = (await response.text())
      .trimEnd()
      .split('\n')
      .filter((line) => !/^# (?:HELP|TYPE) deblur_[a-z_]+ .+$/.test(line) && !sample.test(line));
    expect(wrong).toEqual([]);
  });

  it('counts what results cost and how restorations end', async () => {
    const picture = png();
    const route = { route: '/v1/deblur', method: 'POST', status: '200' };
    const wanted = {
      [seriesName('deblur_results_total', { cache: 'miss' })]: 2,
      [seriesName('deblur_results_total', { cache: 'hit' })]: 3,
      [seriesName('deblur_restorations_total', { placement: 'edge', outcome: 'succeeded' })]: 1,
      [seriesName('deblur_restorations_total', { placement: 'runner', outcome: 'succeeded' })]: 1,
      [seriesName('deblur_restorations_total', { placement: 'edge', outcome: 'runner_busy' })]: 1,
      [seriesName('deblur_encodings_total', { placement: 'edge', outcome: 'succeeded' })]: 1,
      [seriesName('deblur_http_requests_total', route)]: 5,
      [seriesName('deblur_http_requests_total', { ...route, status: '503' })]: 1,
    };
    await risesBy(wanted, async () => {
      for (const query of ['', '', '', '?format=webp', '?tile=256']) await deblur(picture, query);
      await edge.failNext({ code: 'runner_busy', detail: 'Every slot is busy.' });
      await deblur(png());
    });
  });
});

describe('batches', () => {
  it('are sent until they are acknowledged, each with what came before it', () => {
    const batches = new CounterBatches('r');
    expect(batches.next()).toBeNull();
    batches.add('a', 1);
    batches.add('a', 2);
    const first = batches.next();
    expect(first).toEqual({ reporter: 'r', sequence: 1, counts: { a: 3 } });
    batches.add('a', 10);
    expect(batches.next()).toBe(first);
    batches.acknowledge(first!);
    const second = batches.next();
    expect(second).toEqual({ reporter: 'r', sequence: 2, counts: { a: 10 } });
    batches.acknowledge(first!);
    expect(batches.next()).toBe(second);
    batches.acknowledge(second!);
    expect(batches.next()).toBeNull();
  });
});

let tables = 0;

/** A table in an object that nothing else uses. */
function withTable<T>(use: (table: StatsTable) => T): Promise<T> {
  return runInDurableObject(env.STATS.getByName(`table-${++tables}`), (_, { storage }) => use(new StatsTable(storage)));
}

describe('the object that counts', () => {
  it('adds a batch once, however often and late it comes', async () => {
    const counters = await withTable((table) => {
      const batch = (sequence: number, reporter = 'r') => ({ reporter, sequence, counts: { a: 1, b: 0.5 } });
      expect([1, 1, 2, 1].map((sequence) => table.add(batch(sequence), 0))).toEqual([true, false, true, false]);
      table.add(batch(1, 'another'), 0);
      return table.counters();
    });
    expect(counters).toEqual([
      ['a', 3],
      ['b', 1.5],
    ]);
  });

  it('forgets reporters that are gone', async () => {
    const again = await withTable((table) => {
      table.add({ reporter: 'old', sequence: 5, counts: {} }, 0);
      table.add({ reporter: 'new', sequence: 1, counts: {} }, STATS_REPORTER_TTL_MS + 1);
      return table.add({ reporter: 'old', sequence: 1, counts: {} }, STATS_REPORTER_TTL_MS + 1);
    });
    expect(again).toBe(true);
  });

  it('keeps no more series than it may, and goes on counting those', async () => {
    const counters = await withTable((table) => {
      const names = Array.from({ length: STATS_MAX_SERIES + 10 }, (_, i) => `s${String(i).padStart(5, '0')}`);
      const counts = Object.fromEntries(names.map((name) => [name, 1]));
      table.add({ reporter: 'r', sequence: 1, counts }, 0);
      table.add({ reporter: 'r', sequence: 2, counts }, 0);
      return table.counters();
    });
    expect(counters.length).toBe(STATS_MAX_SERIES);
    expect(counters[0]).toEqual(['s00000', 2]);
  });

  it('knows the last state of every job, in whatever order it was told', async () => {
    const [queued, running] = [
      { state: 'queued', placement: 'runner' },
      { state: 'running', placement: 'runner' },
    ] as const;
    const seen = await withTable((table) => {
      const at = (now: number) => [queued, running].map((job) => table.countJobs(job, now));
      table.setJob('a', 2, running, 0);
      table.setJob('a', 1, queued, 0);
      table.setJob('b', 1, queued, 0);
      const both = at(1);
      table.setJob('a', 3, null, 0);
      table.setJob('a', 2, running, 0);
      return [both, at(1), at(STATS_JOB_LEASE_MS)];
    });
    expect(seen).toEqual([
      [1, 1],
      [1, 0],
      [0, 0],
    ]);
  });

  it('shows jobs, and the backlog of the GPU runners', async () => {
    const stub = env.STATS.getByName(`table-${++tables}`);
    await stub.reportJob('a', 1, { state: 'running', placement: 'runner' });
    await stub.reportJob('b', 1, { state: 'queued', placement: 'runner' });
    await stub.reportJob('c', 1, { state: 'queued', placement: 'runner' });
    await stub.reportJob('d', 1, { state: 'running', placement: 'edge' });
    const text = await stub.render();
    expect(text).toContain('\ndeblur_jobs{placement="edge",state="running"} 1\n');
    expect(text).toContain('\ndeblur_jobs{placement="runner",state="queued"} 2\n');
    expect(text).toContain('\n# TYPE deblur_jobs_backlog gauge\ndeblur_jobs_backlog 3\n');
  });
});

describe('the exposition', () => {
  it('escapes what is in labels and help', () => {
    const series = seriesName('m', { b: 'x', a: 'quote " slash \\ line\n' });
    expect(exposition([{ name: 'm', type: 'gauge', help: 'a\\b\nc', series: [[series, 1.5]] }])).toBe(
      '# HELP m a\\\\b\\nc\n# TYPE m gauge\nm{a="quote \\" slash \\\\ line\\n",b="x"} 1.5\n',
    );
  });
});

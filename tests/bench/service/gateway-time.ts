/**
 * `npm run bench -- gateway-time [--rounds 200]`: what a request costs beyond HTTP itself. Each kind is asked for one after the
 * other, in turns with a path that the router does not know, through the same client, the same proxy of `wrangler dev` and the
 * same workerd: that is the floor. No inference is in any of it: a create is answered before its work begins, and the next
 * turn begins when that has ended.
 *
 * - create: a prediction of a picture never seen: its body read and hashed, its source stored, its objects made
 * - create_stored: a prediction of a picture whose result is there
 * - get: a prediction that has ended; hit: its result; deblur_hit: `POST /v1/deblur` of a picture that was restored
 *
 * One JSON line, and on stderr a row of Markdown.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Pictures, SIDE } from '../../support/endurance/pictures.ts';
import { startAsUser } from '../../support/start.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '200' } } });
const rounds = Number(values.rounds);
const WARM_UP = 20;

const pictures = await Pictures.from();
const known = await pictures.at(0);

const service = await startAsUser();

async function ask(route: string, status: number, init?: RequestInit): Promise<{ ms: number; answer: Buffer }> {
  const start = performance.now();
  const response = await fetch(new URL(route, service.url), init);
  const answer = Buffer.from(await response.arrayBuffer());
  const ms = performance.now() - start;
  if (response.status !== status) throw new Error(`${route}: ${response.status} ${answer.toString()}`);
  return { ms, answer };
}

interface Seen {
  readonly status: string;
  readonly urls: { readonly get: string; readonly result: string | null };
}

/** On the runner, where one tile is no matter. */
async function create(picture: Buffer): Promise<{ ms: number; prediction: Seen }> {
  const body = JSON.stringify({ input: { image: `data:image/png;base64,${picture.toString('base64')}`, tile: SIDE } });
  const headers = { 'content-type': 'application/json' };
  const { ms, answer } = await ask('/v1/predictions', 201, { method: 'POST', headers, body });
  return { ms, prediction: JSON.parse(answer.toString()) as Seen };
}

/** The prediction at its end. */
async function ended({ urls }: Seen): Promise<Seen> {
  for (;;) {
    const seen = JSON.parse((await ask(urls.get, 200)).answer.toString()) as Seen;
    if (seen.status === 'failed') throw new Error('a picture was not restored');
    if (seen.status === 'succeeded') return seen;
    await sleep(50);
  }
}

let fresh = 1;

/** Of another picture each time; its work is over when this is. */
async function createNew(): Promise<{ ms: number }> {
  const { ms, prediction } = await create(await pictures.at(fresh++));
  await ended(prediction);
  return { ms };
}

function percentile(milliseconds: readonly number[], share: number): number {
  const sorted = milliseconds.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

const round = (value: number): number => Math.round(value * 100) / 100;

try {
  const { urls } = await ended((await create(known)).prediction);
  const upload = { method: 'POST', body: new Uint8Array(known) };
  const kinds: Readonly<Record<string, () => Promise<{ ms: number }>>> = {
    floor: () => ask('/internal/nothing', 404),
    create: createNew,
    create_stored: () => create(known),
    get: () => ask(urls.get, 200),
    hit: () => ask(urls.result ?? '', 200),
    deblur_hit: () => ask(`/v1/deblur?tile=${SIDE}`, 200, upload),
  };
  const times = new Map<string, number[]>(Object.keys(kinds).map((kind) => [kind, []]));
  for (let turn = -WARM_UP; turn < rounds; turn++) {
    for (const [kind, call] of Object.entries(kinds)) {
      const { ms } = await call();
      if (turn >= 0) times.get(kind)?.push(ms);
    }
  }
  const floor = times.get('floor') ?? [];
  const figures = Object.fromEntries(
    [...times].map(([kind, taken]) => {
      const [p50, p95] = [percentile(taken, 0.5), percentile(taken, 0.95)];
      return [kind, { p50_ms: round(p50), p95_ms: round(p95), p50_over_floor: round(p50 / percentile(floor, 0.5)) }];
    }),
  );
  console.log(JSON.stringify({ bench: 'gateway-time', picture: '256×256 PNG', rounds, ...figures }));
  const row = Object.entries(figures).map(([kind, { p50_ms, p95_ms }]) => `${kind} ${p50_ms} / ${p95_ms}`);
  process.stderr.write(`| gateway’s own time per request, p50 / p95, ms (floor: HTTP alone) | ${row.join(' · ')} |\n`);
} finally {
  await service.interrupt();
}

// What a caller waits for: a 512×512 JPEG in, a JPEG out, never seen before, on a warm service; and a hit of the same.
import sharp from 'sharp';
import { fixture } from '../../support/images.ts';
import { startAsUser } from '../../support/start.ts';

const ROUNDS = 9;

const frame = await fixture('reds/blur.png');
/** Another crop each time, so that each is an inference. */
const pictures = await Promise.all(
  Array.from({ length: ROUNDS + 1 }, (_, i) =>
    sharp(frame)
      .extract({ left: i * 60, top: i * 16, width: 512, height: 512 })
      .jpeg({ quality: 92 })
      .toBuffer(),
  ),
);

const service = await startAsUser();

async function post(picture: Buffer): Promise<{ milliseconds: number; response: Response }> {
  const start = performance.now();
  const response = await fetch(`${service.url}/v1/deblur`, { method: 'POST', body: new Uint8Array(picture) });
  await response.arrayBuffer();
  return { milliseconds: performance.now() - start, response };
}

function expectHeaders(response: Response, expected: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(expected)) {
    if (response.headers.get(name) !== value) throw new Error(`${name}: ${response.headers.get(name)}, not ${value}`);
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

function inferOf(response: Response): number {
  return Number(/infer;dur=([\d.]+)/.exec(response.headers.get('server-timing') ?? '')?.[1]);
}

try {
  const cold = await post(pictures[0]!);
  const misses: number[] = [];
  const ratios: number[] = [];
  const hits: number[] = [];
  for (const picture of pictures.slice(1)) {
    const miss = await post(picture);
    expectHeaders(miss.response, { 'x-placement': 'edge', 'x-cache': 'miss', 'content-type': 'image/jpeg' });
    misses.push(miss.milliseconds);
    ratios.push(miss.milliseconds / inferOf(miss.response));
    const hit = await post(picture);
    expectHeaders(hit.response, { 'x-cache': 'hit' });
    hits.push(hit.milliseconds);
  }
  const report = {
    bench: 'service-latency',
    picture: '512×512 JPEG in, JPEG out, edge',
    rounds: ROUNDS,
    first_ms: Math.round(cold.milliseconds),
    miss_median_ms: Math.round(median(misses)),
    miss_over_inference: Number(median(ratios).toFixed(3)),
    hit_median_ms: Number(median(hits).toFixed(1)),
  };
  console.log(JSON.stringify(report));
} finally {
  await service.interrupt();
}

/** More pictures at once than there are picture threads: they share threads, tile memory and sessions, and nothing else. */
import { availableParallelism } from 'node:os';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { dataUri, fixture } from './support/images.ts';
import { startServer, until, type Answer, type RunningServer } from './support/runner.ts';

const SLOTS = 3 * Math.min(availableParallelism(), 4);
let server: RunningServer;
beforeAll(async () => void (server = await startServer({ SLOTS: String(SLOTS) })));
afterAll(async () => void (await server.stop()));

/** Crops of different sizes, 8 and 16 bits in turn. */
async function crop(i: number): Promise<string> {
  const photo = sharp(await fixture('kodak/kodim23.png'));
  const cut = photo.extract({ left: 20 * i, top: 15 * i, width: 200 + 24 * i, height: 180 + 16 * i });
  return dataUri(await (i % 2 === 0 ? cut : cut.toColourspace('rgb16')).png().toBuffer());
}

function restored(image: string): Promise<Answer> {
  return server.call('POST', '/predictions', { input: { image, format: 'png' } });
}

it('each come out as they do alone, whatever happens to the others', async () => {
  const pictures = await Promise.all(Array.from({ length: SLOTS - 2 }, (_, i) => crop(i % 8)));
  const alone: unknown[] = [];
  for (const image of pictures) alone.push((await restored(image)).body.output);
  expect(new Set(alone).size).toBe(Math.min(8, alone.length));

  const broken = restored(dataUri((await fixture('kodak/kodim23.png')).subarray(0, 60_000)));
  const large = { input: { image: dataUri(await fixture('kodak/kodim04.png')) } };
  await server.call('PUT', '/predictions/large', large, { headers: { prefer: 'respond-async' } });
  const together = Promise.all(pictures.map(restored));
  await until(async () => (await server.call('GET', '/predictions/large')).body.progress !== null);
  await server.call('POST', '/predictions/large/cancel');
  const same = (await together).map(({ body }, i) => body.output === alone[i]);
  expect(same).toEqual(pictures.map(() => true));
  expect((await broken).body.status).toBe('failed');
  await until(async () => (await server.call('GET', '/predictions/large')).body.status === 'canceled');
});

/** A picture of several tiles that one run of the network takes, too: both ways must come to the same picture. */
import sharp from 'sharp';
import { expect, it } from 'vitest';
import { dataUri, fixture, outputFile, psnr } from './support/images.ts';
import { readManifest, runDirectly } from './support/network.ts';
import { startServer } from './support/runner.ts';

const [width, height] = [448, 320];

async function crop(name: string): Promise<{ png: Buffer; rgb: Uint8Array }> {
  const picture = sharp(await fixture(name)).extract({ left: 128, top: 0, width, height });
  return { png: await picture.clone().png().toBuffer(), rgb: new Uint8Array(await picture.raw().toBuffer()) };
}

it('restores in tiles what one run over the whole picture restores', async () => {
  const [blurred, truth] = await Promise.all([crop('reds/blur.png'), crop('reds/sharp.png')]);
  const { tile } = await readManifest();
  expect(Math.min(width, height)).toBeGreaterThan(tile.size);
  const server = await startServer({ EXECUTION_PROVIDER: 'cpu' });
  const input = { image: dataUri(blurred.png), format: 'png' };
  const { body } = await server.call('POST', '/predictions', { input });
  await server.stop();
  expect(body.metrics.tiles).toBe(6);
  const tiled = new Uint8Array(await sharp(outputFile(body.output)).raw().toBuffer());
  const untiled = (await runDirectly('uint8', width, height, blurred.rgb)) as Uint8Array;
  const gainOf = (restored: Uint8Array): number => psnr(restored, truth.rgb) - psnr(blurred.rgb, truth.rgb);
  // The network weighs its channels by means over what it is given, so a tile is not to the bit what the whole is. What that
  // changes is little beside what the network does.
  expect(psnr(tiled, untiled) - psnr(untiled, blurred.rgb)).toBeGreaterThan(10);
  expect(gainOf(untiled)).toBeGreaterThan(1);
  expect(Math.abs(gainOf(tiled) - gainOf(untiled))).toBeLessThan(0.2);
});

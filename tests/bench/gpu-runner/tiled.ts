/**
 * What tiling changes and costs: `npm run bench -- runner-tiled`. Each picture is restored by the runner, in tiles, and by
 * one run of the same graph over all of it, in turns: PSNR and largest difference between the two, PSNR of each against
 * the sharp twin, and the time inside the network, tiled over untiled (tiles overlap, so it is above one).
 */
import path from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { fixture, psnr } from '../../gpu-runner/support/images.ts';
import { sessionOptions } from '../../../gpu-runner/sessions/session-options.ts';
import { variantFor } from '../../../gpu-runner/models/variants.ts';
import { readManifest } from '../../gpu-runner/support/network.ts';
import { startReceiver } from '../../gpu-runner/support/receiver.ts';
import { MODEL_DIR } from '../../gpu-runner/support/runner.ts';
import { PROVIDER, startOnProvider } from './provider.ts';
import { median, restore, round } from './support.ts';

const ROUNDS = Number(process.env['TILED_ROUNDS'] ?? 5);
/** Sides are multiples of 16, so that the untiled run needs no padding. */
const SIZES = [
  [256, 256],
  [448, 320],
  [1024, 720],
] as const;
const [blurred, twin] = await Promise.all([fixture('reds/blur.png'), fixture('reds/sharp.png')]);
const { file, input, output } = variantFor(await readManifest(), 'uint8', PROVIDER);
const session = await InferenceSession.create(path.join(MODEL_DIR, 'dhnet-edge', file), sessionOptions(PROVIDER, 1));
const receiver = await startReceiver();
const server = await startOnProvider({ ALLOW_ORIGINS: receiver.origin, SESSION_WORKERS: '1' });
try {
  for (const [width, height] of SIZES) await compare(width, height);
} finally {
  await server.stop();
  await receiver.close();
}

async function compare(width: number, height: number): Promise<void> {
  const source = await crop(blurred, width, height).png().toBuffer();
  const rgb = await crop(blurred, width, height).raw().toBuffer();
  const truth = await crop(twin, width, height).raw().toBuffer();
  receiver.sources.set('/picture', source);
  const times: { tiled: number; untiled: number }[] = [];
  let tiled = new Uint8Array();
  let untiled = new Uint8Array();
  let tiles = 0;
  // The first round warms up.
  for (let i = 0; i <= ROUNDS; i++) {
    const start = performance.now();
    const outputs = await session.run({ [input.name]: new Tensor(new Uint8Array(rgb), [1, height, width, 3]) });
    const untiledMs = performance.now() - start;
    untiled = new Uint8Array(outputs[output.name]!.data as Uint8Array);
    const { metrics } = await restore(server, receiver, `${width}-${i}`, '/picture', 'png');
    const { bytes } = receiver.uploads.find((upload) => upload.path === '/result')!;
    tiled = new Uint8Array(await sharp(bytes).raw().toBuffer());
    receiver.uploads.length = 0;
    tiles = metrics.tiles ?? 0;
    if (i > 0) times.push({ tiled: metrics.inferMs ?? 0, untiled: untiledMs });
  }
  console.log(
    JSON.stringify({
      bench: 'gpu-runner/tiled',
      provider: PROVIDER,
      width,
      height,
      tiles,
      psnr_db: round(psnr(tiled, untiled)),
      largest_difference: tiled.reduce((most, value, i) => Math.max(most, Math.abs(value - untiled[i]!)), 0),
      psnr_to_sharp_db: { blurred: psnrTo(rgb), tiled: psnrTo(tiled), untiled: psnrTo(untiled) },
      time_ratio: round(median(times.map((each) => each.tiled / each.untiled))),
    }),
  );

  function psnrTo(restored: Uint8Array): number {
    return round(psnr(restored, truth));
  }
}

function crop(picture: Buffer, width: number, height: number): Sharp {
  return sharp(picture).extract({ left: 128, top: 0, width, height });
}

/** The cases that both placements pass, through the real server. */
import { afterAll, beforeAll } from 'vitest';
import { sharpCodec } from '../../gpu-runner/pictures/sharp-codec.ts';
import { describeFidelity } from '../suites/fidelity.ts';
import { dataUri, outputFile } from './support/images.ts';
import { readManifest } from './support/network.ts';
import { startServer, type RunningServer } from './support/runner.ts';

const { tile, pad_multiple: padMultiple } = await readManifest();

let server: RunningServer;
beforeAll(async () => void (server = await startServer()));
afterAll(async () => void (await server.stop()));

describeFidelity({
  name: 'gpu runner',
  async restore(bytes, options) {
    const input = { image: dataUri(bytes), format: 'png', ...options };
    const { body } = await server.call('POST', '/predictions', { input });
    if (body.status === 'succeeded') return { status: 'ok', bytes: new Uint8Array(outputFile(body.output)) };
    return { status: 'error', code: String(body.error).split(':')[0]! };
  },
  decode: (bytes, header) => sharpCodec.decode(bytes, header),
  tiling: { ...tile, padMultiple },
  carries: { formats: ['jpeg', 'png', 'webp', 'avif', 'heic', 'tiff'], sixteenBit: true, cmyk: true, avif: true },
});

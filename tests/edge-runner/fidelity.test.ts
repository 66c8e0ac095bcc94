import { WasmCodec } from '../../workers/edge-runner/wasm-codec.ts';
import { describeFidelity } from '../suites/fidelity.ts';
import { manifest, restore } from './support/worker.ts';

const codec = new WasmCodec();

describeFidelity({
  name: 'edge runner',
  async restore(bytes, options) {
    const reply = await restore(bytes, options);
    return reply.ok ? { status: 'ok', bytes: reply.result } : { status: 'error', code: reply.error.code };
  },
  decode: (bytes, header) => codec.decode(bytes, header),
  tiling: { ...manifest.tile, padMultiple: manifest.pad_multiple },
  carries: { formats: ['jpeg', 'png', 'webp'], sixteenBit: false, cmyk: false, avif: false },
});

/**
 * Peak memory of the edge runner's isolate at the largest picture that it takes: 1024×1024 pixels of noise (the worst a
 * PNG can be), every accepted format in and out, all in the same isolate. One JSON line:
 * - peak_javascript_mib: the largest sum of V8 heap in use and array buffers that DevTools' Runtime.getHeapUsage told at
 *   any await, each time after a forced collection; linear memories are not among them
 * - linear_memory_mib: the network's and the codecs' linear memory at the end; they never shrink
 * - peak_isolate_mib: the sum of all these, what Cloudflare's 128 MB (122 MiB) are held against
 * - rss_growth_mib: high-water mark of workerd's resident memory (VmHWM) above the idle process; it holds compiled code
 *   and the allocator's slack besides
 */
import sharp from 'sharp';
import { readFileSync } from 'node:fs';
import { residentKiB, round, startBenchWorker, weights, type BenchWorker } from './support.ts';

const SIDE = 1024;
const MiB = 1024 * 1024;
const FORMATS = ['jpeg', 'png', 'webp'] as const;
/** Often enough to look at every await of a restoration. */
const POLL_MS = 10;

interface HeapUsage {
  readonly usedSize: number;
  readonly backingStorageSize?: number;
}

/** DevTools over a socket: one command at a time is enough here. */
class Inspector {
  readonly #socket: WebSocket;
  #id = 0;

  constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  static async open(url: string): Promise<Inspector> {
    // Wrangler asks for an Origin that it knows. Node's WebSocket takes headers, which the DOM's type does not say.
    const init = { headers: { Origin: 'http://localhost' } };
    const socket = Reflect.construct(WebSocket, [url, init]) as WebSocket;
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve, { once: true });
      socket.addEventListener('error', reject, { once: true });
    });
    return new Inspector(socket);
  }

  send<Result>(method: string): Promise<Result> {
    const id = ++this.#id;
    return new Promise((resolve, reject) => {
      const listen = ({ data }: MessageEvent): void => {
        const message = JSON.parse(String(data)) as { id?: number; result?: Result; error?: { message: string } };
        if (message.id !== id) return;
        this.#socket.removeEventListener('message', listen);
        if (message.error) reject(new Error(`${method}: ${message.error.message}`));
        else resolve(message.result as Result);
      };
      this.#socket.addEventListener('message', listen);
      this.#socket.send(JSON.stringify({ id, method }));
    });
  }

  /** Heap and array buffers. */
  async bytes(): Promise<number> {
    const { usedSize, backingStorageSize = 0 } = await this.send<HeapUsage>('Runtime.getHeapUsage');
    return usedSize + backingStorageSize;
  }

  close(): void {
    this.#socket.close();
  }
}

async function sources(): Promise<Record<(typeof FORMATS)[number], Buffer>> {
  let seed = 1;
  const noise = Buffer.alloc(SIDE * SIDE * 4).map(() => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return seed >>> 24;
  });
  const rgba = sharp(noise, { raw: { width: SIDE, height: SIDE, channels: 4 } });
  return {
    jpeg: await rgba.clone().removeAlpha().jpeg({ quality: 95, progressive: true }).toBuffer(),
    png: await rgba.clone().png().toBuffer(),
    webp: await rgba.clone().webp({ quality: 95 }).toBuffer(),
  };
}

async function measure(worker: BenchWorker): Promise<object> {
  const { version } = JSON.parse(readFileSync(`${weights}/dhnet-edge/manifest.json`, 'utf8')) as { version: string };
  const inspector = await Inspector.open(worker.inspectorUrl);
  const idleKiB = residentKiB(worker.workerdPid, 'VmRSS');
  const idle = await inspector.bytes();
  const files = await sources();
  const pairs: Record<string, number> = {};
  for (const from of FORMATS) {
    for (const to of FORMATS) {
      let peak = 0;
      let running = true;
      const polling = (async () => {
        while (running) {
          await (await fetch(`${worker.url}/collect`)).text();
          peak = Math.max(peak, await inspector.bytes());
          await new Promise((resolve) => setTimeout(resolve, POLL_MS));
        }
      })();
      const url = `${worker.url}/restore?format=${to}&version=${version}`;
      const response = await fetch(url, { method: 'POST', body: new Uint8Array(files[from]) });
      const body = await response.arrayBuffer();
      if (!response.ok)
        throw new Error(`${from} → ${to}: ${response.status} ${Buffer.from(body).toString().slice(0, 500)}`);
      running = false;
      await polling;
      pairs[`${from}_to_${to}`] = round(peak / MiB);
    }
  }
  inspector.close();
  const linear = (await (await fetch(`${worker.url}/memories`)).json()) as number[];
  const peakJavascript = Math.max(...Object.values(pairs));
  return {
    bench: 'edge-memory',
    pixels: SIDE * SIDE,
    idle_javascript_mib: round(idle / MiB),
    peak_isolate_mib: round(peakJavascript + linear.reduce((sum, bytes) => sum + bytes, 0) / MiB),
    peak_javascript_mib: peakJavascript,
    linear_memory_mib: linear.map((bytes) => round(bytes / MiB)),
    rss_growth_mib: round((residentKiB(worker.workerdPid, 'VmHWM') - idleKiB) / 1024),
    javascript_mib_by_pair: pairs,
  };
}

process.env['MINIFLARE_WORKERD_V8_FLAGS'] = '--expose-gc';
const worker = await startBenchWorker();
try {
  console.log(JSON.stringify(await measure(worker)));
} finally {
  await worker.stop();
}

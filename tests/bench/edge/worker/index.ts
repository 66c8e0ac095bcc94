/**
 * The edge runner's own parts behind a few routes, in one isolate with them. The bodies of request and answer lie in that
 * isolate too, so its memory is a little larger here than behind the service binding.
 */
import { OUTPUT_FORMATS } from '@deblur/shared/protocol/options.ts';
import { EdgeSession } from '../../../../workers/edge-runner/edge-session.ts';
import { loadModelFiles } from '../../../../workers/edge-runner/model-files.ts';
import { EdgeIsolate } from '../../../../workers/edge-runner/isolate.ts';

interface BenchEnv {
  readonly ASSETS: Fetcher;
}

/** Every linear memory made in this isolate, by the order of making: the network's first. */
const memories: WebAssembly.Memory[] = [];
const { Memory } = WebAssembly;
Object.assign(WebAssembly, {
  Memory: function (descriptor: WebAssembly.MemoryDescriptor) {
    const memory = new Memory(descriptor);
    memories.push(memory);
    return memory;
  },
});

const runner = new EdgeIsolate();
let session: EdgeSession | undefined;

async function coldStart({ ASSETS }: BenchEnv): Promise<Response> {
  const started = performance.now();
  const { weights } = await loadModelFiles(ASSETS, 'dhnet-edge');
  const loaded = performance.now();
  session = await EdgeSession.create(weights);
  const size = 256;
  const created = performance.now();
  await session.run({ width: size, height: size, data: new Uint8Array(size * size * 3) });
  const done = performance.now();
  return Response.json({ load_ms: loaded - started, create_ms: created - loaded, first_tile_ms: done - created });
}

async function tile(request: Request): Promise<Response> {
  const { searchParams } = new URL(request.url);
  const size = Number(searchParams.get('size') ?? 256);
  const data = new Uint8Array(await request.arrayBuffer());
  if (session === undefined) return new Response('GET /cold first', { status: 409 });
  const repeats = Number(searchParams.get('repeats') ?? 1);
  let restored = data;
  for (let i = 0; i < repeats; i++) restored = (await session.run({ width: size, height: size, data })).data;
  return new Response(restored);
}

async function restore(request: Request, { ASSETS }: BenchEnv): Promise<Response> {
  const { searchParams } = new URL(request.url);
  const format = OUTPUT_FORMATS.find((name) => name === searchParams.get('format')) ?? 'png';
  const restored = await runner.restore(ASSETS, {
    source: new Uint8Array(await request.arrayBuffer()),
    model: 'dhnet-edge',
    modelVersion: searchParams.get('version') ?? '',
    encoding: { format, quality: 90, metadata: 'keep' },
  });
  return new Response(restored.result, { headers: { 'x-report': JSON.stringify(restored.report) } });
}

/** With V8's flag --expose-gc. Array buffers found dead by one collection are counted until the next begins. */
function collect(): void {
  const { gc } = globalThis as { gc?: () => void };
  gc?.();
  gc?.();
}

async function route(request: Request, env: BenchEnv): Promise<Response> {
  switch (new URL(request.url).pathname) {
    case '/cold':
      return coldStart(env);
    case '/tile':
      return tile(request);
    case '/restore':
      return restore(request, env);
    case '/collect':
      collect();
      return new Response('collected');
    case '/memories':
      return Response.json(memories.map(({ buffer }) => buffer.byteLength));
    default:
      return new Response('idle');
  }
}

export default {
  async fetch(request, env) {
    try {
      return await route(request, env);
    } catch (error) {
      const cause = error instanceof Error ? error.cause : undefined;
      return new Response(`${error} (${cause})`, { status: 500 });
    }
  },
} satisfies ExportedHandler<BenchEnv>;

import { EDGE_MAX_PIXELS, EDGE_QUEUE_MAX, EDGE_SOURCE_MAX_BYTES } from '@deblur/shared/limits.ts';
import { concat } from '@deblur/shared/metadata/bytes.ts';
import { exports } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { WasmCodec } from '../../workers/edge-runner/wasm-codec.ts';
import { fidelityFile } from '../suites/fidelity-files.ts';
import { edge, manifest, restore } from './support/worker.ts';

const encoding = { format: 'png', quality: 90, metadata: 'keep' } as const;
const request = {
  source: fidelityFile('size-61x47.jpg'),
  model: manifest.name,
  modelVersion: manifest.version,
  encoding,
};

function bytesOf(reply: Awaited<ReturnType<typeof restore>>): { master: Uint8Array; result: Uint8Array } {
  if (!reply.ok) throw new Error(reply.error.code);
  return reply;
}

describe('edge runner', () => {
  it('is ready once its session exists', async () => {
    expect(await edge.health()).toEqual({ status: 'READY' });
  });

  it('has no public surface', async () => {
    const response = await exports.default.fetch('https://edge-runner.invalid/');
    expect(response.status).toBe(404);
  });

  it('reports what it did', async () => {
    const reply = await restore(fidelityFile('size-257x300.png'));
    if (!reply.ok) throw new Error(reply.error.code);
    const { report } = reply;
    expect(report).toMatchObject({ tiles: 4, width: 257, height: 300 });
    expect(report.inferMs).toBeGreaterThan(0);
    expect(report.restoreMs).toBeGreaterThanOrEqual(report.inferMs);
  });

  it.each([
    ['another version', { ...request, modelVersion: '0'.repeat(64) }],
    ['another model', { ...request, model: 'dhnet' as const }],
  ])('does not restore with %s', async (_, other) => {
    expect(await edge.restore(other)).toMatchObject({ ok: false, error: { code: 'model_unavailable' } });
  });

  it('refuses a picture of more pixels than it has memory for', async () => {
    expect(1025 * 1024).toBeGreaterThan(EDGE_MAX_PIXELS);
    const data = new Uint8Array(1025 * 1024);
    const tooLarge = await new WasmCodec().encode({ width: 1025, height: 1024, channels: 1, data }, encoding);
    expect(await restore(tooLarge)).toMatchObject({ ok: false, error: { code: 'image_too_many_pixels' } });
  });

  it('refuses a file of more bytes than it has memory for', async () => {
    const padded = concat([fidelityFile('size-61x47.jpg'), new Uint8Array(EDGE_SOURCE_MAX_BYTES)]);
    expect(await restore(padded)).toMatchObject({ ok: false, error: { code: 'body_too_large' } });
  });

  it('refuses a WebP wider than WebP can be', async () => {
    const wide = { width: 16_384, height: 1, channels: 1, data: new Uint8Array(16_384) } as const;
    const source = await new WasmCodec().encode(wide, encoding);
    expect(await restore(source, { format: 'webp' })).toMatchObject({ ok: false, error: { code: 'invalid_option' } });
    expect(await restore(source, { format: 'jpeg' })).toMatchObject({ ok: true });
  });

  it('takes so many pictures at once and no more', async () => {
    const count = EDGE_QUEUE_MAX + 3;
    const replies = await Promise.all(Array.from({ length: count }, () => edge.restore(request)));
    const codes = replies.map((reply) => (reply.ok ? 'ok' : reply.error.code));
    // One runs, EDGE_QUEUE_MAX wait, the rest are refused.
    expect(codes.filter((code) => code === 'ok')).toHaveLength(EDGE_QUEUE_MAX + 1);
    expect(codes.filter((code) => code === 'runner_busy')).toHaveLength(2);
    const masters = replies.flatMap((reply) => (reply.ok ? [reply.master] : []));
    for (const master of masters) expect(master).toEqual(masters[0]);
  });
});

describe('encode', () => {
  it.each(['jpeg', 'webp', 'png'] as const)('makes the same %s of a master as the restoration did', async (format) => {
    for (const metadata of ['keep', 'strip'] as const) {
      const { master, result } = bytesOf(await restore(fidelityFile('described.jpg'), { format, metadata }));
      const reply = await edge.encode({ master, encoding: { format, metadata, quality: 90 } });
      if (!reply.ok) throw new Error(reply.error.code);
      expect(reply.result).toEqual(result);
    }
  });

  it.each([
    ['AVIF', { ...encoding, format: 'avif' as const }, 'invalid_option'],
    ['what is no picture', encoding, 'unsupported_media_type'],
  ])('refuses %s', async (what, options, code) => {
    const master = what === 'AVIF' ? fidelityFile('photo.png') : new TextEncoder().encode('not a picture at all');
    expect(await edge.encode({ master, encoding: options })).toMatchObject({ ok: false, error: { code } });
  });
});

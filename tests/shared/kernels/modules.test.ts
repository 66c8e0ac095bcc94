import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { BUILDS, buildModule } from '../../../scripts/kernels/module.ts';

/** What the first opcode of relaxed SIMD's fused multiply-add looks like: 0xfd, then 0x105 as LEB128. */
const RELAXED_MADD = Buffer.of(0xfd, 0x85, 0x02);

describe.each(BUILDS)('the %s module', (build) => {
  const file = new URL(`../../../shared/kernels/wasm/${build}.wasm`, import.meta.url);

  it('is what scripts/kernels builds, byte for byte', async () => {
    const committed = await readFile(file);
    expect(Buffer.from(await buildModule(build)).equals(committed), 'run `npm run kernels`').toBe(true);
  });

  it('fuses multiplication and addition only where the engine may have relaxed SIMD', async () => {
    expect((await readFile(file)).includes(RELAXED_MADD)).toBe(build === 'relaxed');
  });
});

/** The kernels as one WebAssembly module, in its two builds. The same source gives the same bytes. */
import wabt from 'wabt';
import { MEMORY_IMPORT } from '../../shared/kernels/scratch.ts';
import { depthwise, routed, volterra } from './filters.ts';
import { products } from './product.ts';
import { rows } from './rows.ts';
import { f32x4, type MultiplyAdd } from './wat.ts';

/** `relaxed` fuses multiplication and addition; `plain` is for engines without relaxed SIMD. */
export const BUILDS = ['relaxed', 'plain'] as const;
export type Build = (typeof BUILDS)[number];

const MULTIPLY_ADD: Readonly<Record<Build, MultiplyAdd>> = {
  relaxed: (a, b, c) => f32x4('relaxed_madd', a, b, c),
  plain: (a, b, c) => f32x4('add', f32x4('mul', a, b), c),
};

export async function buildModule(build: Build): Promise<Uint8Array<ArrayBuffer>> {
  const multiplyAdd = MULTIPLY_ADD[build];
  const kernels = [
    ...products(multiplyAdd),
    depthwise(multiplyAdd),
    volterra(multiplyAdd),
    routed(multiplyAdd),
    ...rows(multiplyAdd),
  ];
  const { module, name } = MEMORY_IMPORT;
  const text = `(module (import "${module}" "${name}" (memory 1))\n${kernels.join('\n')})`;
  const { parseWat } = await wabt();
  const parsed = parseWat(`${build}.wat`, text, { simd: true, relaxed_simd: build === 'relaxed' });
  try {
    return parsed.toBinary({}).buffer.slice();
  } finally {
    parsed.destroy();
  }
}

/** Writes shared/kernels/wasm/relaxed.wasm and plain.wasm: `npm run kernels`. */
import { writeFileSync } from 'node:fs';
import { BUILDS, buildModule } from './module.ts';

for (const build of BUILDS) {
  const wasm = await buildModule(build);
  writeFileSync(new URL(`../../shared/kernels/wasm/${build}.wasm`, import.meta.url), wasm);
  console.log(`${build}.wasm: ${wasm.length} bytes`);
}

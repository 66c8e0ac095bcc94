import { defineConfig } from 'vitest/config';

/** One project per runtime and part; `vitest run --project <name>` runs one of them. */
export default defineConfig({
  test: {
    projects: ['tests/*/vitest.config.ts'],
    // Two cores: the WASM and ONNX tests of different parts would only wait for each other.
    maxWorkers: 2,
    // Logs of passing tests say nothing; those of a failing one are what one needs.
    silent: 'passed-only',
  },
});

import { defineProject } from 'vitest/config';

export default defineProject({
  test: {
    name: 'e2e',
    root: import.meta.dirname,
    environment: 'node',
    globalSetup: ['./support/fuzzer.ts', './support/generated-clients.ts'],
    // Real inference on whatever machine this is; a bound, not a measurement.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    fileParallelism: false,
  },
});

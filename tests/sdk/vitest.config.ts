import { defineProject } from 'vitest/config';

/** The published package: its client from the source, everything else from the packed and installed package. */
export default defineProject({
  test: {
    name: 'sdk',
    root: import.meta.dirname,
    environment: 'node',
    // Packing builds, and --local restores, on whatever machine this is; a bound, not a measurement.
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
});

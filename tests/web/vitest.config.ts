import { defineProject } from 'vitest/config';

/** The built page in a real browser; the service behind it is a stand-in here and the true one in tests/e2e. */
export default defineProject({
  test: {
    name: 'web',
    root: import.meta.dirname,
    environment: 'node',
    globalSetup: ['./support/build-page.ts'],
    // Browsers and inference on whatever machine this is; a bound, not a measurement.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    fileParallelism: false,
  },
});

import { defineProject } from 'vitest/config';

export default defineProject({
  test: {
    name: 'gpu-runner',
    root: import.meta.dirname,
    environment: 'node',
    // A bound for what hangs, not a measurement: a 12 MP picture on a busy machine takes a while.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});

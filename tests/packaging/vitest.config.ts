import { defineProject } from 'vitest/config';

/** What is handed to other programs: containers, manifests, deployments. */
export default defineProject({
  test: {
    name: 'packaging',
    root: import.meta.dirname,
    environment: 'node',
    globalSetup: 'support/global-setup.ts',
    // Packages are installed and Workers bundled here.
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});

import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';

/** The edge runner in workerd, with the configuration and the model that are deployed. */
export default defineConfig({
  plugins: [cloudflareTest({ wrangler: { configPath: '../../workers/edge-runner/wrangler.toml' } })],
  test: {
    name: 'edge-runner',
    include: ['*.test.ts'],
    globalSetup: ['./support/global-setup.ts'],
    silent: 'passed-only',
    // One session for all files: an isolate of its own for each would load the network again and again.
    isolate: false,
    fileParallelism: false,
    // A tile takes a fifth of a second alone, and seconds when every core is busy.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});

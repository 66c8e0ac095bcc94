import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';
import { RUNNER_TOKEN, METRICS_TOKEN, IMAGE_LINK_KEYS } from './support/global-setup.ts';

// Where wrangler looks for the secrets that wrangler.toml requires.
Object.assign(process.env, {
  INTERNAL_SECRET: 'a-secret-of-the-tests-with-32-characters',
  RESULT_KEY_SECRET: 'a-result-key-of-the-tests-32-characters',
  RUNNER_TOKEN,
  METRICS_TOKEN,
  IMAGE_LINK_KEYS,
  PURGE_API_TOKEN: '',
});

const edgeStandIn = new URL('./support/edge-stand-in.ts', import.meta.url);

/** The gateway in workerd, with the configuration that is deployed; both runners are stand-ins that count. */
export default defineConfig({
  plugins: [
    cloudflareTest(({ inject }) => ({
      wrangler: { configPath: '../../wrangler.toml' },
      miniflare: {
        bindings: {
          INTERNAL_ORIGIN: `http://127.0.0.1:${inject('gatewayPort')}`,
          RUNNER_URL: inject('gpuRunnerUrl'),
          // The tests' own name for the gateway; a local run answers loopback names and this one only.
          PUBLIC_URL: 'https://deblur.test',
          CORS_ORIGINS: '*',
          ALLOW_ORIGINS: [inject('sourceUrl'), inject('receiverUrl')].join(),
          IMAGE_LINK_SOURCES: `${inject('sourceUrl')}, cdn.deblur.dev, *.shop.deblur.dev`,
        },
        serviceBindings: { EDGE_CONTROL: { name: 'deblur-edge-runner', entrypoint: 'EdgeControl' } },
        unsafeDirectSockets: [{ host: '127.0.0.1', port: inject('gatewayPort') }],
        workers: [
          {
            name: 'deblur-edge-runner',
            compatibilityDate: '2026-11-01',
            modules: [
              {
                type: 'ESModule',
                path: 'edge-stand-in.js',
                contents: stripTypeScriptTypes(readFileSync(edgeStandIn, 'utf8')),
              },
            ],
          },
        ],
      },
    })),
  ],
  test: {
    name: 'gateway',
    include: ['**/*.test.ts'],
    globalSetup: ['./support/global-setup.ts'],
    setupFiles: ['./support/setup.ts'],
    silent: 'passed-only',
    testTimeout: 20_000,
    // One workerd for all files: the stand-in reaches it under one port.
    isolate: false,
    fileParallelism: false,
  },
});

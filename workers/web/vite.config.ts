import { fileURLToPath } from 'node:url';
import { RESULT_RETENTION_SECONDS } from '@deblur/shared/limits.ts';
import { defineConfig } from 'vite';
import { deviceDownloadBytes, modelFiles } from './vite/model-files.ts';
import { privacyPage } from './vite/privacy-page.ts';

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** EDGE_MODEL_DIR puts another export in place of the one of this repository; MODEL_DIR is the runner's. */
const modelFolder = process.env['EDGE_MODEL_DIR'] ?? path('../../model-export/weights/dhnet-edge');

/** The larger of the two runtimes that a browser may fetch. */
const runtimeFile = fileURLToPath(import.meta.resolve('onnxruntime-web/ort-wasm-simd-threaded.jspi.wasm'));

export default defineConfig(async () => ({
  root: path('.'),
  plugins: [modelFiles(modelFolder), privacyPage(process.env['PRIVACY_PAGE'])],
  // onnxruntime-web's build that loads its glue and binary from addresses given to it, instead of embedding the glue.
  resolve: { conditions: ['onnxruntime-web-use-extern-wasm', 'module', 'browser', 'production'] },
  define: {
    DEVICE_DOWNLOAD_BYTES: await deviceDownloadBytes(modelFolder, runtimeFile),
    RETENTION_DAYS: Math.round(RESULT_RETENTION_SECONDS / 86_400),
  },
  oxc: { jsx: { runtime: 'automatic' as const, importSource: 'preact' } },
  worker: { format: 'es' as const },
  build: {
    target: 'es2022',
    // The page's policy allows no data: URLs.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    emptyOutDir: true,
    rollupOptions: {
      input: [...['index', 'docs', 'privacy', '404'].map((name) => path(`${name}.html`)), path('offline/sw.ts')],
      // A service worker rules over its own folder and below: it lies at the root, under one name for ever.
      output: { entryFileNames: ({ name }: { name: string }) => (name === 'sw' ? 'sw.js' : 'assets/[name]-[hash].js') },
    },
    // The runtimes and the page of the documentation are large by nature, and loaded only when they are used.
    chunkSizeWarningLimit: 1600,
    reportCompressedSize: false,
  },
}));

/** Builds the page once for all tests, beside the one that `npm start` serves. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** Folder of the built page. */
    page: string;
  }
}

export const WEB_FOLDER = fileURLToPath(new URL('../../../workers/web', import.meta.url));

export async function buildPage(outDir: string): Promise<void> {
  // Vitest has set NODE_ENV to `test`; what is tested is what is served.
  await build({ root: WEB_FOLDER, mode: 'production', logLevel: 'silent', build: { outDir, emptyOutDir: true } });
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'deblur-page-'));
  await buildPage(folder);
  project.provide('page', folder);
  return () => rm(folder, { recursive: true, force: true });
}

import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, inject, it, vi } from 'vitest';
import { buildPage } from './support/build-page.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'deblur-build-'));
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

it('stops with the missing file and the command that makes it', async () => {
  vi.stubEnv('EDGE_MODEL_DIR', folder);
  await expect(buildPage(join(folder, 'out'))).rejects.toThrow(/manifest\.json is missing: .*dhnet export/);
});

it("puts the operator's page in place of the shipped one", async () => {
  const own = join(folder, 'own.html');
  await writeFile(own, '<!doctype html><title>Ours</title><p>We keep nothing.</p>');
  vi.stubEnv('PRIVACY_PAGE', own);
  await buildPage(join(folder, 'out'));
  const page = await readFile(join(folder, 'out/privacy.html'), 'utf8');
  expect(page).toContain('We keep nothing.');
  expect(page).not.toContain('Nobody looks at photos');
  expect(await readFile(join(folder, 'out/index.html'), 'utf8')).toContain('id="app"');
});

it('keeps every file within what a static asset may have', async () => {
  for (const path of await readdir(inject('page'), { recursive: true })) {
    const { size } = await stat(join(inject('page'), path));
    expect(size, path).toBeLessThanOrEqual(25 * 1024 * 1024);
  }
});

/** What index.html loads at once: files of the build, by extension. */
async function initialFiles(extension: string): Promise<string[]> {
  const html = await readFile(join(inject('page'), 'index.html'), 'utf8');
  const paths = [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path]) => path!);
  return paths.filter((path) => path.endsWith(extension));
}

it('loads little at first: no runtime, no validation library', async () => {
  const scripts = await Promise.all(
    (await initialFiles('.js')).map((path) => readFile(join(inject('page'), path), 'utf8')),
  );
  expect(scripts).toHaveLength(1);
  expect(scripts[0]).not.toMatch(/InferenceSession|ZodError/);
  expect(gzipSync(scripts[0]!).length).toBeLessThan(40_000);
  const [style] = await initialFiles('.css');
  expect(gzipSync(await readFile(join(inject('page'), style!))).length).toBeLessThan(6_000);
});

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runnerModels } from '../../scripts/lib/runner-models.ts';
import { root } from '../../scripts/lib/service.ts';
import { parseRunnerModels } from '../../workers/gateway/restorations/models.ts';

const shipped = path.join(root, 'model-export/weights/dhnet-edge');

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), 'deblur-models-'));
  cpSync(shipped, path.join(dir, 'dhnet-edge'), { recursive: true });
});
afterEach(() => rmSync(dir, { recursive: true }));

function addModel(folder: string, changes: object): void {
  mkdirSync(path.join(dir, folder));
  const manifest = JSON.parse(readFileSync(path.join(shipped, 'manifest.json'), 'utf8')) as object;
  writeFileSync(path.join(dir, folder, 'manifest.json'), JSON.stringify({ ...manifest, name: folder, ...changes }));
}

it('names no model beside that of the edge where there is none', () => {
  expect(runnerModels(dir)).toBe('');
});

it('names the trained models of the folder as the gateway reads them, and leaves out what the runner skips', () => {
  addModel('dhnet-b', {});
  addModel('untrained', { trained: null });
  addModel('torn', { version: 'latest' });
  addModel('moved', { name: 'other' });
  mkdirSync(path.join(dir, 'notes'));
  writeFileSync(path.join(dir, 'notes/manifest.json'), 'not JSON');
  expect(parseRunnerModels(runnerModels(dir)).map(({ name }) => name)).toEqual(['dhnet-b']);
});

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { root } from '../../scripts/lib/service.ts';

/** Names that were given up, as they would be written today. */
const OLD_NAMES: readonly RegExp[] = [
  /\bGPU_RUNNER_(?:URL|TOKEN)\b/,
  /\bGPU_(?:CALL|RESTORE)_TIMEOUT_MS\b/,
  /\bSIGNED_URL_[A-Z]+\b/,
  /\bsigned-urls\b/,
  /\bsignedUrl\w*/,
  /\bplacement: ?['"]gpu['"]/i,
  /X-Placement: ?(?:edge\|)?gpu/i,
  /\bplacement="gpu"/,
  /\bnew EdgeRunner\(/,
  /workers\/gateway\/(?:predict|store|stats)\//,
];

/** Files that must say an old name: what reads old records and variables, their tests, and the history. */
const EXEMPT = [
  'CHANGELOG.md',
  'tests/house/names.test.ts',
  'workers/gateway/renamed-variables.ts',
  'tests/gateway/config.test.ts',
  'tests/gateway/jobs/stored-forms.test.ts',
];

const OLD_FILES = /(?:^|\/)(?:wire|take-in|endings|sibling|within|part-ports|signed-url)\.ts$/;

const BINARY = /\.(?:avif|bin|gif|jpe?g|npz|onnx|pdf|png|safetensors|svg|tiff?|wasm|webp)$/;

const files = execFileSync('git', ['ls-files'], { cwd: root, encoding: 'utf8' }).trim().split('\n');

it('says no name that was given up, except where old records and variables are read', () => {
  const texts = files.filter(
    (file) => !EXEMPT.includes(file) && !BINARY.test(file) && !file.startsWith('model-export/'),
  );
  const found = texts.flatMap((file) => {
    const text = readFileSync(path.join(root, file), 'utf8');
    return OLD_NAMES.flatMap((name) => (name.exec(text) ?? []).slice(0, 1).map((match) => `${file}: ${match}`));
  });
  expect(found).toEqual([]);
});

it('has no file under a name that was given up', () => {
  expect(files.filter((file) => OLD_FILES.test(file))).toEqual([]);
});

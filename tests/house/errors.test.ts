import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { withErrorTable } from '../../scripts/lib/error-table.ts';
import { root } from '../../scripts/lib/service.ts';

it('docs/api.md lists every public error with its code, its status and its text (npm run docs writes the table)', async () => {
  const document = readFileSync(path.join(root, 'docs/api.md'), 'utf8');
  expect(document).toBe(await withErrorTable(document));
});

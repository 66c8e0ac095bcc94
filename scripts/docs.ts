/** `npm run docs`: writes the tables of the documents that are made from the code. */
import { readFile, writeFile } from 'node:fs/promises';
import { withErrorTable } from './lib/error-table.ts';

const API = new URL('../docs/api.md', import.meta.url);

await writeFile(API, await withErrorTable(await readFile(API, 'utf8')));

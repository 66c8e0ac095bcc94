import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { root } from '../../scripts/lib/service.ts';

export interface CodeBlock {
  /** From the root of the repository. */
  readonly document: string;
  readonly line: number;
  readonly language: string;
  /** The file that the block is, where its fence names one. */
  readonly file: string;
  readonly code: string;
}

/** Documents for those who use the service, from the root of the repository. */
export const GUIDES: readonly string[] = [
  ...readdirSync(path.join(root, 'docs/guide')).map((name) => `docs/guide/${name}`),
  'sdk/README.md',
  'sdk/python/README.md',
  'workers/web/public/llms.txt',
];

/** The fenced blocks of a document. */
export function codeBlocks(document: string): CodeBlock[] {
  const text = readFileSync(path.join(root, document), 'utf8');
  return [...text.matchAll(/^```(\w+) ?(.*)\n([^]*?)^```$/gm)].map(({ index, 1: language, 2: file, 3: code }) => ({
    document,
    line: text.slice(0, index).split('\n').length,
    language: language!,
    file: file!,
    code: code!,
  }));
}

/** The block that is a file of that name. */
export function fileIn(document: string, file: string): string {
  const block = codeBlocks(document).find((candidate) => candidate.file === file);
  if (block === undefined) throw new Error(`${document} has no block for ${file}`);
  return block.code;
}

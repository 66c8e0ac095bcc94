/** The documents for users: every block of code is well-formed, and what they say of limits and links is what the code does. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import * as limits from '@deblur/shared/limits.ts';
import { parseSigningKeys, signPath } from '@deblur/shared/protocol/image-link.ts';
import ts from 'typescript';
import { expect, it } from 'vitest';
import { root } from '../../scripts/lib/service.ts';
import { codeBlocks, fileIn, GUIDES, type CodeBlock } from '../support/code-blocks.ts';
import { needProgram } from '../support/programs.ts';

const scriptComplaints = (code: string): string[] => {
  const compilerOptions = { target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext };
  const { diagnostics = [] } = ts.transpileModule(code, { compilerOptions, reportDiagnostics: true });
  return diagnostics.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
};

function programComplaints(command: string, args: readonly string[], input: string): string[] {
  needProgram(command);
  const { status, stderr } = spawnSync(command, args, { input, encoding: 'utf8' });
  return status === 0 ? [] : [stderr];
}

function jsonComplaints(code: string): string[] {
  try {
    JSON.parse(code);
    return [];
  } catch (error) {
    return [String(error)];
  }
}

const CHECKS: Readonly<Record<string, (code: string) => string[]>> = {
  js: scriptComplaints,
  ts: scriptComplaints,
  html: (code) =>
    [...code.matchAll(/<script[^>]*>([^]*?)<\/script>/g)].flatMap(([, script]) => scriptComplaints(script!)),
  json: jsonComplaints,
  python: (code) => programComplaints('python3', ['-c', 'import ast, sys; ast.parse(sys.stdin.read())'], code),
  sh: (code) => programComplaints('sh', ['-n'], code),
  // A form, not a program.
  text: () => [],
};

const readText = (document: string): string => readFileSync(path.join(root, document), 'utf8');
const nameOf = ({ document, line }: CodeBlock): string => `${document}:${line}`;
const blocks = GUIDES.flatMap(codeBlocks);

it('every block of code is in a language that is checked, and has no syntax error', () => {
  expect(blocks.length).toBeGreaterThan(20);
  const complaints = blocks.flatMap((block) => {
    const check = CHECKS[block.language] ?? (() => [`nothing checks ${block.language}`]);
    return check(block.code).map((complaint) => `${nameOf(block)}: ${complaint}`);
  });
  expect(complaints).toEqual([]);
});

it('a misspelt block of every language is found', () => {
  const broken = { js: 'const = 1', ts: 'let a: = 1', html: '<script>(</script>', json: '{', python: 'def', sh: 'if' };
  for (const [language, code] of Object.entries(broken)) expect(CHECKS[language]!(code), language).not.toEqual([]);
});

it('links between the documents lead to files', () => {
  for (const document of GUIDES) {
    const text = codeBlocks(document).reduce((rest, { code }) => rest.replace(code, ''), readText(document));
    for (const [, target] of text.matchAll(/\]\((?!https?:|\/)([^)#]+)[^)]*\)/g)) {
      expect(existsSync(path.join(root, path.dirname(document), target!)), `${document}: ${target}`).toBe(true);
    }
  }
});

it('the link that the guide signs is the one that the service verifies', async () => {
  const code = fileIn('docs/guide/image-links.md', 'sign.ts');
  const compiled = ts.transpileModule(code, { compilerOptions: { module: ts.ModuleKind.ESNext } }).outputText;
  const { imageLink } = (await import(`data:text/javascript,${encodeURIComponent(compiled)}`)) as {
    imageLink: (source: string, options: Record<string, string | number>, key: string, salt: string) => string;
  };
  const [key, salt] = ['ab'.repeat(32), 'cd'.repeat(16)];
  const [signingKey] = parseSigningKeys(`${key}:${salt}`);
  for (const options of [{}, { format: 'webp', quality: 80 }]) {
    const source = 'https://images.example.com/é.jpg?a=1';
    expect(imageLink(source, options, key, salt)).toBe(await signPath(signingKey!, source, options));
  }
});

it('the page of limits has the figures of the code', () => {
  const page = readText('docs/guide/limits.md');
  const figure = (value: number): string => value.toLocaleString('en-US');
  const rows = [
    ['upload by `POST /v1/deblur`', `${limits.SYNC_UPLOAD_MAX_BYTES / 1e6} MB`],
    ['upload by predictions and files', `${limits.ASYNC_UPLOAD_MAX_BYTES / 1e6} MB`],
    ['body in JSON', `${limits.JSON_BODY_MAX_BYTES / 1e6} MB`],
    ['picture ', `${limits.MAX_PIXELS / 1e6} megapixels`],
    ['answered at the edge', `${Math.floor(limits.EDGE_MAX_PIXELS / 1e6)} megapixel`],
    ['work of one prediction', `${limits.PREDICTION_DEADLINE_SECONDS / 3600} hours`],
    ['files of one account', figure(limits.FILES_MAX_PER_TENANT)],
    ['without a key', figure(limits.RATE_LIMIT_ANONYMOUS_MEGAPIXELS), figure(limits.REQUEST_LIMIT_ANONYMOUS)],
    ['with the keys of an account', figure(limits.RATE_LIMIT_KEY_MEGAPIXELS), figure(limits.REQUEST_LIMIT_KEY)],
    ['results', `${limits.RESULT_RETENTION_SECONDS / 86_400} days`],
    ['uploaded files', `${limits.SOURCE_RETENTION_SECONDS / 3600} hours`],
    ['predictions', `${limits.PREDICTION_RETENTION_SECONDS / 86_400} days`],
    ['`Idempotency-Key`', `${limits.IDEMPOTENCY_RETENTION_SECONDS / 3600} hours`],
  ] as const;
  for (const [name, ...figures] of rows) {
    const row = page.split('\n').find((line) => line.startsWith(`| ${name}`));
    for (const value of figures) expect(row, name).toContain(`| ${value}`);
  }
  expect(page).toContain(`\`Prefer: wait=n\` takes ${limits.MIN_WAIT_SECONDS} to ${limits.MAX_WAIT_SECONDS} seconds`);
  expect(page).toContain(`at least ${limits.RATE_LIMIT_MIN_MEGAPIXELS}`);
});

/**
 * `npm run trace` lists the source files of which a function is called for one raw upload that is restored at the
 * edge while nothing is stored. It runs a copy of this tree in which every function says when it is called. A first upload
 * loads the model; the second one is counted.
 */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import sharp from 'sharp';
import ts from 'typescript';
import type * as Service from './lib/service.ts';

const root = process.env['TRACE_ROOT'] ?? path.resolve(import.meta.dirname, '..');

/** Files whose functions are counted. */
const COUNTED = /^(?:workers\/(?:gateway|edge-runner)|shared)\/(?!.*(?:\.d\.ts$|\/build\/)).*\.ts$/;

/** Readers of one concern, which count as one file. */
const AS_ONE = ['shared/image-header/', 'shared/metadata/'];

/** The same text, where each function first calls `__called`. */
function instrumented(file: string, text: string): string {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const inserts: { readonly at: number; readonly text: string }[] = [];
  const visit = (node: ts.Node): void => {
    const body = ts.isFunctionLike(node) && 'body' in node ? (node.body as ts.Node | undefined) : undefined;
    if (body !== undefined && ts.isBlock(body)) inserts.push({ at: body.getStart(source) + 1, text: '__called();' });
    if (body !== undefined && !ts.isBlock(body)) inserts.push({ at: body.getStart(source), text: '(__called(), ' });
    ts.forEachChild(node, visit);
    if (body !== undefined && !ts.isBlock(body)) inserts.push({ at: body.getEnd(), text: ')' });
  };
  visit(source);
  let result = '';
  let at = 0;
  for (const insert of inserts.sort((a, b) => a.at - b.at)) {
    result += text.slice(at, insert.at) + insert.text;
    at = insert.at;
  }
  // At most once a second: a loop over pixels would fill the log.
  return `${result}${text.slice(at)}
function __called() {
  const times = ((globalThis as any).__times ??= {});
  const now = Date.now();
  if (now - (times['${file}'] ?? -2000) < 1000) return;
  times['${file}'] = now;
  console.warn('CALLED ${file}');
}
`;
}

/** The files that git knows, instrumented, with the packages of this tree. */
function copyTree(copy: string): void {
  const files = execFileSync('git', ['ls-files'], { cwd: root, encoding: 'utf8' }).trim().split('\n');
  for (const file of files) {
    const target = path.join(copy, file);
    if (!/^(?:workers|shared|scripts|model-export\/weights|gpu-runner\/|[^/]+$)/.test(file)) continue;
    mkdirSync(path.dirname(target), { recursive: true });
    if (COUNTED.test(file)) writeFileSync(target, instrumented(file, readFileSync(path.join(root, file), 'utf8')));
    else cpSync(path.join(root, file), target);
  }
  const built = 'workers/edge-runner/dist';
  if (existsSync(path.join(root, built))) cpSync(path.join(root, built), path.join(copy, built), { recursive: true });
  mkdirSync(path.join(copy, 'workers/web/dist'), { recursive: true });
  mkdirSync(path.join(copy, 'node_modules/@deblur'), { recursive: true });
  symlinkSync(path.join(copy, 'shared'), path.join(copy, 'node_modules/@deblur/shared'));
  for (const name of readdirSync(path.join(root, 'node_modules'))) {
    if (name !== '@deblur') symlinkSync(path.join(root, 'node_modules', name), path.join(copy, 'node_modules', name));
  }
}

const copy = mkdtempSync(path.join(tmpdir(), 'deblur-trace-'));
let stop = async (): Promise<void> => undefined;
try {
  copyTree(copy);
  const service = (await import(path.join(copy, 'scripts/lib/service.ts'))) as typeof Service;
  const called = new Set<string>();
  const log = (line: string): void => {
    const [, file] = /CALLED (\S+)/.exec(line) ?? [];
    if (file !== undefined) called.add(AS_ONE.find((prefix) => file.startsWith(prefix)) ?? file);
    else if (process.env['TRACE_LOG']) console.error(line);
  };
  const port = await service.freePort();
  const runner = { runnerUrl: 'http://127.0.0.1:9', runnerToken: 'of-no-runner' };
  const workers = service.startWorkers({ port, stateDir: path.join(copy, 'state'), ...runner, log });
  stop = () => service.stopAll([workers.child]);
  const url = `http://127.0.0.1:${port}`;
  while (
    !(await fetch(`${url}/v1/models`)
      .then(({ ok }) => ok)
      .catch(() => false))
  )
    await delay(500);
  const upload = async (left: number): Promise<string> => {
    const photo = sharp(path.join(root, 'tests/fixtures/kodak/kodim04.png'));
    const jpeg = await photo.extract({ left, top: 0, width: 256, height: 256 }).jpeg().toBuffer();
    const response = await fetch(`${url}/v1/deblur`, { method: 'POST', body: new Uint8Array(jpeg) });
    await response.arrayBuffer();
    await delay(2000);
    return `${response.status} ${response.headers.get('x-cache')} ${response.headers.get('x-placement')}`;
  };
  await upload(0);
  called.clear();
  console.log(await upload(64));
  const lines = [...called].sort().map((file) => {
    const length = file.endsWith('/') ? 0 : readFileSync(path.join(root, file), 'utf8').split('\n').length - 1;
    return { file, length };
  });
  for (const { file, length } of lines) console.log(`${length === 0 ? '   –' : String(length).padStart(4)}  ${file}`);
  console.log(`${lines.length} files, the longest has ${Math.max(...lines.map(({ length }) => length))} lines`);
} finally {
  await stop();
  rmSync(copy, { recursive: true, force: true });
}

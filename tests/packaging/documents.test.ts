import { existsSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { EXECUTION_PROVIDERS, schema as runnerSchema } from '../../gpu-runner/config.ts';
import { schema as gatewaySchema } from '../../workers/gateway/config.ts';
import { root } from '../../scripts/lib/service.ts';
import { read } from './support/tools.ts';

const document = read('docs/deploy.md');

/** What the first column of the table under a heading names. */
function namesUnder(heading: string): string[] {
  const section = document.split(`### ${heading}\n`)[1]?.split(/^#/m)[0] ?? '';
  const cells = section.split('\n').filter((line) => line.startsWith('| `'));
  return cells.flatMap((line) => [...line.split('|')[1]!.matchAll(/`(\w+)`/g)].map(([, name]) => name!));
}

it.each([
  ['Of the gateway', gatewaySchema],
  ['Of the runner', runnerSchema],
])('the table "%s" of docs/deploy.md has every variable that the code reads, and no other', (heading, schema) => {
  expect(namesUnder(heading).sort()).toEqual(Object.keys(schema.shape).sort());
});

it('docs/deploy.md names scripts and files that exist', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const named = [...document.matchAll(/npm (?:run )?(\w+)/g)].map(([, name]) => name!);
  expect(named).toContain('deploy');
  for (const name of named) expect(Object.keys(scripts)).toContain(name);
  const files = [...document.matchAll(/\b(?:gpu-runner|workers|docs)\/[\w./-]*\w/g)].map(([file]) => file);
  // Made by the commands of the document themselves.
  const made = /replicate\/(app|node)$/;
  for (const file of files.filter((name) => !made.test(name)))
    expect(existsSync(path.join(root, file)), file).toBe(true);
});

it('the secrets of the first deployment are the required ones', () => {
  const [, block] = /cat > secrets\.env <<END\n([^]*?)END\n/.exec(document)!;
  const names = [...block!.matchAll(/^(\w+)=/gm)].map(([, name]) => name);
  const required = /\[env\.production\.secrets\]\s*(?:#.*\s*)*required = \[([^\]]*)\]/.exec(read('wrangler.toml'))![1]!;
  expect(names.sort()).toEqual([...required.matchAll(/"(\w+)"/g)].map(([, name]) => name).sort());
});

it('docs/deploy.md says what TensorRT needs besides the image, as long as the image does not have it', () => {
  const dockerfile = read('gpu-runner/Dockerfile');
  expect(EXECUTION_PROVIDERS).toContain('tensorrt');
  expect(dockerfile).not.toMatch(/libnvinfer|tensorrt/i);
  const [, example] = /```dockerfile\n([^]*?)```/.exec(document)!;
  for (const library of ['libnvinfer', 'libnvinfer-plugin', 'libnvonnxparsers']) {
    expect(example).toMatch(new RegExp(`'${library}\\d+=`));
  }
  const [, cuda] = /nvidia\/cuda:(\d+)/.exec(dockerfile)!;
  expect(new Set(example!.match(/\+cuda\d+/g))).toEqual(new Set([`+cuda${cuda}`]));
  const user = (text: string): string | undefined => [...text.matchAll(/^USER (\S+)$/gm)].at(-1)?.[1];
  expect(user(example!)).toBe(user(dockerfile));
  expect(example).toContain('EXECUTION_PROVIDER=tensorrt');
});

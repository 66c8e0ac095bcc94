import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { root } from '../../scripts/lib/service.ts';

const SOURCE = /^(?:workers|shared|gpu-runner|scripts)\/.*(?<!\.d)\.ts$/;

/** The files that a file imports, types included. */
function importsOf(file: string, text: string): string[] {
  const imports = text.matchAll(/^(?:import|export)\s(?:[^'";]*?\sfrom\s)?'([^']+)'/gm);
  return [...imports].flatMap(([, name = '']) => {
    if (name.startsWith('@deblur/shared/')) return [name.replace('@deblur/', '')];
    return name.startsWith('.') ? [path.posix.join(path.posix.dirname(file), name)] : [];
  });
}

/** A path of imports that comes back to its beginning; undefined when there is none. */
function circleIn(imports: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  const visit = (file: string, way: readonly string[]): string[] | undefined => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const next of imports.get(file) ?? []) {
      const circle = visit(next, [...way, file]);
      if (circle !== undefined) return circle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of imports.keys()) {
    const circle = visit(file, []);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

it('no file imports itself over others', () => {
  const files = execFileSync('git', ['ls-files'], { cwd: root, encoding: 'utf8' }).split('\n');
  const sources = files.filter((file) => SOURCE.test(file) && existsSync(path.join(root, file)));
  const imports = sources.map((file) => [file, importsOf(file, readFileSync(path.join(root, file), 'utf8'))] as const);
  expect(imports.length).toBeGreaterThan(200);
  expect(circleIn(new Map(imports))).toBeUndefined();
});

it('a circle is found', () => {
  const circle = circleIn(new Map(Object.entries({ a: ['b'], b: ['c', 'd'], c: [], d: ['b'] })));
  expect(circle).toEqual(['b', 'd', 'b']);
});

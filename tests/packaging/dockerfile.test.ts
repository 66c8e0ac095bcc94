import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Copy } from 'dockerfile-ast';
import { describe, expect, it } from 'vitest';
import { schema } from '../../gpu-runner/config.ts';
import { RUNNER_ENV, root } from '../../scripts/lib/service.ts';
import { buildContext, stagesOf } from './support/dockerfile.ts';
import { complaintsOf, read } from './support/tools.ts';

const dockerfile = read('gpu-runner/Dockerfile');
const stages = stagesOf(dockerfile);
const copies = stages.flatMap(({ name, steps }) =>
  steps.filter((step) => step.getKeyword() === 'COPY').map((step) => describeCopy(name, step as Copy)),
);
const lint = (text: string): string | undefined => complaintsOf('hadolint', ['--failure-threshold', 'info', '-'], text);

describe('the Dockerfile', () => {
  it('passes hadolint, which refuses worse ones', () => {
    expect(lint(dockerfile)).toBeUndefined();
    expect(lint('FROM debian\nRUN apt-get install curl\n')).toMatch(/DL3006[^]*DL3008/);
  });

  it('names every base image by tag and digest', () => {
    const bases = [...dockerfile.matchAll(/^ARG \w+_IMAGE=(.*)$/gm)].map(([, image]) => image);
    expect(bases).toHaveLength(2);
    for (const base of bases) expect(base).toMatch(/^[\w/]+:[\w.-]+@sha256:[0-9a-f]{64}$/);
    const external = stages.map(({ from }) => from).filter((from) => !stages.some(({ name }) => name === from));
    expect(new Set(external)).toEqual(new Set(['${NODE_IMAGE}', '${CUDA_IMAGE}', 'scratch']));
  });

  it('builds for CUDA when no target is named', () => {
    expect(stages.at(-1)!.name).toBe('cuda');
  });

  it.each(['cpu', 'cuda'])(
    '%s runs as nobody in particular, with a health check, straight from TypeScript',
    (target) => {
      const steps = stages.find(({ name }) => name === target)!.steps;
      const said = (keyword: string): string =>
        steps.find((step) => step.getKeyword() === keyword)?.getArgumentsContent() ?? '';
      expect(said('USER')).toMatch(/^[1-9]\d+:[1-9]\d+$/);
      expect(said('HEALTHCHECK')).toContain('CMD ["node", "gpu-runner/healthcheck.ts"]');
      expect(said('CMD')).toBe('["node", "gpu-runner/index.ts"]');
      const names = said('ENV')
        .split(/[\s\\]+/)
        .map((assignment) => assignment.split('=')[0]!)
        .filter((name) => !name.startsWith('NVIDIA_') && !(name in RUNNER_ENV));
      expect(Object.keys(schema.shape)).toEqual(expect.arrayContaining(names));
      expect(said('ENV')).toContain(`EXECUTION_PROVIDER=${target}`);
      for (const [name, value] of Object.entries(RUNNER_ENV)) {
        expect(said('ENV').split(/\s+/)).toContain(`${name}=${value}`);
      }
    },
  );

  it('copies from stages that come before, and from the context what is there', () => {
    const names = stages.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(copies.length).toBeGreaterThan(0);
    const context = buildContext();
    for (const { stage, from, sources } of copies) {
      if (from !== undefined) {
        expect(names.slice(0, names.indexOf(stage)), `COPY --from=${from}`).toContain(from);
        continue;
      }
      for (const source of sources) {
        expect(existsSync(path.join(root, source)), source).toBe(true);
        // Git has no folder without files, and .dockerignore may leave none.
        const sent = context.filter((file) => file === source || file.startsWith(`${source}/`));
        expect(sent.length, source).toBeGreaterThan(0);
      }
    }
  });

  it('gives each target the packages of its own kind, and the sources', () => {
    const taken = (target: string) => copies.filter(({ stage }) => stage === target).map(({ from }) => from);
    expect(taken('cpu')).toEqual(['packages', 'sources']);
    // The first is Node itself, which CUDA's image does not have.
    expect(taken('cuda')).toEqual(['packages', 'packages-cuda', 'sources']);
    const from = Object.fromEntries(stages.map((stage) => [stage.name, stage.from]));
    expect(from).toMatchObject({ 'packages-cuda': 'packages', cpu: '${NODE_IMAGE}', cuda: '${CUDA_IMAGE}' });
  });

  it('asks for CUDA libraries in the stage of the CUDA packages alone', () => {
    const asking = stages.filter(({ steps }) =>
      steps.some((step) => step.getTextContent().includes('ONNXRUNTIME_NODE_INSTALL')),
    );
    expect(asking.map(({ name }) => name)).toEqual(['packages-cuda']);
    const text = asking[0]!.steps.map((step) => step.getTextContent()).join('\n');
    const [, cuda] = /ONNXRUNTIME_NODE_INSTALL=cuda(\d+)/.exec(text)!;
    const [, base] = /^ARG CUDA_IMAGE=nvidia\/cuda:(\d+)\.[\d.]+-cudnn-runtime-/m.exec(dockerfile)!;
    expect(base).toBe(cuda);
  });

  it('speaks of the ONNX Runtime that is installed, which is the one of the page too', () => {
    const versionIn = (file: string, name: string): string | undefined =>
      (JSON.parse(read(file)) as { dependencies?: Record<string, string> }).dependencies?.[name];
    const version = versionIn('gpu-runner/package.json', 'onnxruntime-node');
    expect(version).toMatch(/^\d+\.\d+\.\d+$/);
    const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, { version?: string }> };
    expect(packages['node_modules/onnxruntime-node']?.version).toBe(version);
    expect(versionIn('workers/web/package.json', 'onnxruntime-web')).toBe(version);
    const [, named] = /onnxruntime-node (\d+\.\d+) is built for/.exec(dockerfile)!;
    expect(version?.startsWith(`${named}.`)).toBe(true);
  });

  it('fails when ONNX Runtime has no CUDA provider', () => {
    const run = stages.find(({ name }) => name === 'packages-cuda')!.steps.map((step) => step.getTextContent());
    expect(run.join('\n')).toMatch(
      /install\.js\s*\\\n\s*&& test -s \S+\/linux\/x64\/libonnxruntime_providers_cuda\.so$/,
    );
  });
});

it('sends the models and the sources to the build, and nothing that it does not need', () => {
  const context = buildContext();
  expect(context).toEqual(
    expect.arrayContaining([
      'package-lock.json',
      'gpu-runner/index.ts',
      'shared/pixels/restore.ts',
      'model-export/weights/dhnet-edge/manifest.json',
      'model-export/weights/dhnet-edge/dhnet-edge.uint8.onnx',
    ]),
  );
  const wanted = /^(package(-lock)?\.json$|shared\/|gpu-runner\/(?!deploy|Dockerfile|compose)|model-export\/weights\/)/;
  expect(context.filter((file) => !wanted.test(file))).toEqual([]);
  expect(context.filter((file) => /checkpoint|\.env|dev\.vars|node_modules/.test(file))).toEqual([]);
});

function describeCopy(stage: string, step: Copy) {
  const words = step.getArguments().map((argument) => argument.getValue());
  const from = step.getFromFlag()?.getValue() ?? undefined;
  return { stage, from, sources: words.slice(0, -1) };
}

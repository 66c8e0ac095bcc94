import { describe, expect, it } from 'vitest';
import { schema } from '../../gpu-runner/config.ts';
import { RUNNER_ENV } from '../../scripts/lib/service.ts';
import { buildContext, stagesOf } from './support/dockerfile.ts';
import { complaintsOf, read } from './support/tools.ts';

const dockerfile = read('gpu-runner/Dockerfile');
const stages = stagesOf(dockerfile);
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
      'shared/restore.ts',
      'model-export/weights/dhnet-edge/manifest.json',
      'model-export/weights/dhnet-edge/dhnet-edge.uint8.onnx',
    ]),
  );
  const wanted = /^(package(-lock)?\.json$|shared\/|gpu-runner\/(?!deploy|Dockerfile|compose)|model-export\/weights\/)/;
  expect(context.filter((file) => !wanted.test(file))).toEqual([]);
  expect(context.filter((file) => /checkpoint|\.env|dev\.vars|node_modules/.test(file))).toEqual([]);
});

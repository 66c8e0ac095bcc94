import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { gpuInputSchema } from '../../shared/protocol/runner-api.ts';
import { root } from '../../scripts/lib/service.ts';
import { fixture } from '../support/images.ts';
import { read, yamlOf } from './support/tools.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'deblur-replicate-'));

const cogFolder = 'gpu-runner/deploy/replicate';

/** The keys of cog.yaml by https://cog.run/yaml, of those that a predictor may have: Cog refuses any other. */
const cogYaml = z.strictObject({
  build: z.strictObject({
    gpu: z.boolean().optional(),
    // Texts: YAML reads 12.10 without quotes as 12.1.
    cuda: z
      .string()
      .regex(/^\d+\.\d+(\.\d+)?$/)
      .optional(),
    cudnn: z.string().regex(/^\d+$/).optional(),
    python_version: z.string().regex(/^3\.\d+(\.\d+)?$/),
    python_requirements: z.string().optional(),
    system_packages: z.array(z.string()).optional(),
    run: z.array(z.string()).optional(),
  }),
  image: z.string().optional(),
  predict: z.string().regex(/^[\w/-]+\.py:\w+$/),
  environment: z.array(z.string().regex(/^\w+=/)).optional(),
  concurrency: z.strictObject({ max: z.int().positive(), default_target: z.int().positive().optional() }).optional(),
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('cog.yaml', () => {
  const [cog] = yamlOf(`${cogFolder}/cog.yaml`);

  it('has keys that Cog knows, of the types that it takes', () => {
    expect(cogYaml.parse(cog)).toEqual(cog);
    expect(cogYaml.safeParse({ ...cog, predictor: cog.predict }).success).toBe(false);
    expect(cogYaml.safeParse({ ...cog, build: { ...cog.build, cuda: 12.4 } }).success).toBe(false);
  });

  it('names a predictor that is there', () => {
    const [file, name] = cogYaml.parse(cog).predict.split(':');
    expect(read(`${cogFolder}/${file}`)).toMatch(new RegExp(`^class ${name}\\(BasePredictor\\):`, 'm'));
  });

  it('asks for a GPU, and for the CUDA that ONNX Runtime is installed for', () => {
    const { gpu, cuda } = cogYaml.parse(cog).build;
    const [, installed] = /ONNXRUNTIME_NODE_INSTALL=cuda(\d+)/.exec(read('gpu-runner/Dockerfile'))!;
    expect({ gpu, cuda: cuda?.split('.')[0] }).toEqual({ gpu: true, cuda: installed });
  });
});

it('takes every input that the runner takes', () => {
  const signature = read(`${cogFolder}/predict.py`).split('def predict(')[1]!.split(') -> Any')[0]!;
  const names = [...signature.matchAll(/^ +(\w+): /gm)].map(([, name]) => name);
  expect(names.sort()).toEqual(Object.keys(gpuInputSchema.shape).sort());
});

it('passes a picture through the runner, and its errors with their codes', async () => {
  copyFileSync(path.join(root, cogFolder, 'predict.py'), path.join(folder, 'predict.py'));
  symlinkSync(root, path.join(folder, 'app'));
  symlinkSync(process.execPath, path.join(folder, 'node'));
  const stand = path.join(root, 'tests/packaging/support/cog');
  const picture = `data:image/png;base64,${(await fixture('fidelity/size-1x37.png')).toString('base64')}`;
  const inputs = [
    { image: picture, format: 'png' },
    { image: 'data:image/png;base64,AAAA' },
    { image: picture, tile: 7 },
  ];
  const { stdout, stderr } = spawnSync(
    path.join(root, 'tests/packaging/.venv/bin/python'),
    ['-B', path.join(stand, 'run_predictor.py')],
    {
      encoding: 'utf8',
      input: inputs.map((input) => `${JSON.stringify(input)}\n`).join(''),
      env: { PYTHONPATH: `${folder}:${stand}`, EXECUTION_PROVIDER: 'cpu', PATH: process.env['PATH'] ?? '' },
    },
  );
  const answers = stdout
    .split('\n')
    .filter((line) => line.startsWith('answer '))
    .map((line) => JSON.parse(line.slice('answer '.length)) as { output?: string; error?: string });
  expect(answers, stderr).toHaveLength(3);
  expect(answers[0]!.output).toMatch(/^data:image\/png;base64,/);
  expect(answers[1]!.error).toMatch(/^\w+: /);
  expect(answers[2]!.error).toContain('tile');
});

import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { gpuInputSchema } from '../../shared/runner-api.ts';
import { root } from '../../scripts/lib/service.ts';
import { fixture } from '../support/images.ts';
import { read } from './support/tools.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'deblur-replicate-'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('takes every input that the runner takes', () => {
  const signature = read('gpu-runner/deploy/replicate/predict.py').split('def predict(')[1]!.split(') -> Any')[0]!;
  const names = [...signature.matchAll(/^ +(\w+): /gm)].map(([, name]) => name);
  expect(names.sort()).toEqual(Object.keys(gpuInputSchema.shape).sort());
});

it('passes a picture through the runner, and its errors with their codes', async () => {
  copyFileSync(path.join(root, 'gpu-runner/deploy/replicate/predict.py'), path.join(folder, 'predict.py'));
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

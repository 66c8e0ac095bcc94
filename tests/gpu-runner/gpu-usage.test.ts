import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { parseGpuUsage, readGpuUsage } from '../../gpu-runner/ops/gpu-usage.ts';

let dir: string;
const searchPath = process.env['PATH'];
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'deblur-driver-'));
  process.env['PATH'] = dir;
});
afterEach(async () => {
  process.env['PATH'] = searchPath;
  await rm(dir, { recursive: true });
});

it('reads what the driver says of each GPU, in bytes and shares', () => {
  expect(parseGpuUsage('0, 1024, 81559, 37\n1, 0, 81559, [N/A]\n')).toEqual([
    { gpu: '0', usedBytes: 1024 * 2 ** 20, totalBytes: 81_559 * 2 ** 20, utilization: 0.37 },
    { gpu: '1', usedBytes: 0, totalBytes: 81_559 * 2 ** 20, utilization: 0 },
  ]);
  expect(parseGpuUsage('No devices were found\n')).toEqual([]);
  expect(parseGpuUsage('')).toEqual([]);
});

it('asks the driver by its tool, and does without where there is none', async () => {
  expect(await readGpuUsage()).toEqual([]);
  const tool = path.join(dir, 'nvidia-smi');
  await writeFile(tool, '#!/bin/sh\nprintf "0, 512, 1024, 50\\n"\n');
  await chmod(tool, 0o755);
  expect(await readGpuUsage()).toEqual([{ gpu: '0', usedBytes: 2 ** 29, totalBytes: 2 ** 30, utilization: 0.5 }]);
});

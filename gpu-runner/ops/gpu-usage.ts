/** What the driver says of the GPUs, by `nvidia-smi`: ONNX Runtime's Node binding says nothing of its memory there. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { GPU_QUERY_TIMEOUT_MS } from '../limits.ts';

export interface GpuUsage {
  /** The driver's index. */
  readonly gpu: string;
  readonly usedBytes: number;
  readonly totalBytes: number;
  /** 0 to 1. */
  readonly utilization: number;
}

const MIB = 1024 * 1024;
const QUERY = ['--query-gpu=index,memory.used,memory.total,utilization.gpu', '--format=csv,noheader,nounits'];

/** @returns a line for each GPU; none when there is no driver or it does not answer */
export async function readGpuUsage(): Promise<GpuUsage[]> {
  try {
    const { stdout } = await promisify(execFile)('nvidia-smi', QUERY, { timeout: GPU_QUERY_TIMEOUT_MS });
    return parseGpuUsage(stdout);
  } catch {
    return [];
  }
}

/** @param csv as QUERY asks for it: MiB and per cent, `[N/A]` for what a GPU does not tell */
export function parseGpuUsage(csv: string): GpuUsage[] {
  return csv
    .trim()
    .split('\n')
    .map((line) => line.split(',').map((field) => field.trim()))
    .flatMap(([gpu, used, total, percent]) => {
      const numbers = [used, total, percent].map(Number);
      if (gpu === undefined || gpu === '' || numbers.slice(0, 2).some(Number.isNaN)) return [];
      const [usedMib = 0, totalMib = 0, busy = NaN] = numbers;
      return [
        { gpu, usedBytes: usedMib * MIB, totalBytes: totalMib * MIB, utilization: Number.isNaN(busy) ? 0 : busy / 100 },
      ];
    });
}

import { traceOf } from '../../../gpu-runner/ops/trace.ts';

export const NO_TRACE = traceOf('test', undefined, undefined);

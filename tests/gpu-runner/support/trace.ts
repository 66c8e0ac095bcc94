import { traceOf } from '../../../gpu-runner/trace.ts';

export const NO_TRACE = traceOf('test', undefined, undefined);

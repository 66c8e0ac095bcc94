import type { ExecutionProvider } from '../config.ts';

/** TensorRT takes what it knows of a graph and leaves the rest to CUDA: that is how it is meant to be used. */
const WITH_FALLBACKS = { tensorrt: ['tensorrt', 'cuda'], cuda: ['cuda'], cpu: ['cpu'] } as const;

/** ONNX Runtime's options of each of our sessions; the benches measure against sessions that have the same. */
export function sessionOptions(provider: ExecutionProvider, intraOpThreads: number) {
  return {
    executionProviders: WITH_FALLBACKS[provider].map((name) => (name === 'cpu' ? name : { name, deviceId: 0 })),
    intraOpNumThreads: intraOpThreads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    // Idle threads would spin on the cores that the other sessions and the codecs need.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  } as const;
}

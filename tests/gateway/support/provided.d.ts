import 'vitest';

declare module 'vitest' {
  /** What global-setup.ts starts in Node, for the tests in workerd. */
  interface ProvidedContext {
    gpuRunnerUrl: string;
    replicateUrl: string;
    /** The webhook receiver's stand-in. */
    receiverUrl: string;
    /** Origin of the host of pictures that are asked for by address, and of what is called by API. */
    sourceUrl: string;
    /** Has the runner's own upload send bytes. */
    uploaderUrl: string;
    /** Where the gateway under test is reached from outside, by the runner's stand-in. */
    gatewayPort: number;
  }
}

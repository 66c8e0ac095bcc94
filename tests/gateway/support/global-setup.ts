import { createServer, type AddressInfo } from 'node:net';
import type { TestProject } from 'vitest/node';
import { startGpuStandIn } from './gpu-stand-in.ts';
import { startReplicateStandIn } from './replicate-stand-in.ts';
import { startReceiverStandIn } from './receiver-stand-in.ts';
import { startSourceHost } from './source-host.ts';
import { startUploader } from './uploader.ts';

export const RUNNER_TOKEN = 'the-runner-token-of-the-tests';

export const METRICS_TOKEN = 'the-metrics-token-of-the-tests';

/** The one that signs, and the one that it took over from. */
export const IMAGE_LINK_KEYS = [`${'0a'.repeat(32)}:${'1b'.repeat(16)}`, `${'2c'.repeat(64)}:${'3d'.repeat(8)}`].join(
  ',',
);

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const gpu = await startGpuStandIn(RUNNER_TOKEN);
  const replicate = await startReplicateStandIn();
  const receiver = await startReceiverStandIn();
  const sources = await startSourceHost();
  const uploader = await startUploader();
  project.provide('gpuRunnerUrl', gpu.url);
  project.provide('replicateUrl', replicate.url);
  project.provide('receiverUrl', receiver.url);
  project.provide('sourceUrl', sources.url);
  project.provide('uploaderUrl', uploader.url);
  project.provide('gatewayPort', await freePort());
  return async () => {
    for (const { server } of [gpu, replicate, receiver, sources, uploader]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}

import { ESLint } from 'eslint';
import { beforeAll, expect, it } from 'vitest';
import { root } from '../../scripts/lib/service.ts';

let eslint: ESLint;

beforeAll(() => {
  eslint = new ESLint({ cwd: root });
});

/** What lint says of one import in a file at a path; the file need not exist. */
async function complaints(filePath: string, imported: string): Promise<string[]> {
  const [result] = await eslint.lintText(`import { x } from '${imported}';\nexport const y = x;\n`, { filePath });
  return result!.messages.filter(({ ruleId }) => ruleId === 'no-restricted-imports').map(({ message }) => message);
}

it.each([
  ['shared/pixels/tiling.ts', 'hono'],
  ['shared/pixels/tiling.ts', 'node:fs'],
  ['shared/pixels/tiling.ts', '../tests/support/images.ts'],
  ['workers/gateway/restorations/placement.ts', 'hono'],
  ['workers/gateway/restorations/placement.ts', 'cloudflare:workers'],
  ['workers/gateway/restorations/placement.ts', 'replicate'],
  ['workers/gateway/restorations/placement.ts', '../http/context.ts'],
  ['workers/gateway/restorations/placement.ts', '../../edge-runner/index.ts'],
  ['workers/gateway/results/result-store.ts', '../http/middleware/problem.ts'],
  ['workers/gateway/results/result-store.ts', '../jobs/job-table.ts'],
  ['workers/gateway/sources/source-store.ts', '../results/result-store.ts'],
  ['workers/gateway/tenants/files.ts', '../limits/token-bucket.ts'],
  ['workers/gateway/webhooks/sender.ts', 'hono'],
  ['workers/gateway/restorations/placement.ts', '../predictions/prediction-table.ts'],
  ['workers/gateway/jobs/job-table.ts', '../restorations/plan.ts'],
  ['workers/gateway/runners/gpu-runner.ts', '../jobs/job-table.ts'],
  ['workers/gateway/metrics/stats-client.ts', '../http/middleware/problem.ts'],
  ['workers/gateway/http/body/upload.ts', '../routes/deblur.ts'],
  ['workers/gateway/http/body/upload.ts', '../middleware/auth.ts'],
  ['workers/gateway/http/middleware/auth.ts', '../routes/keys.ts'],
  ['workers/gateway/app.ts', '../edge-runner/index.ts'],
  ['workers/gateway/app.ts', 'onnxruntime-web'],
  ['workers/edge-runner/index.ts', '@jsquash/png'],
  ['workers/edge-runner/edge-session.ts', 'onnxruntime-web'],
  ['workers/web/device/kernel-pool.ts', 'wabt'],
  ['workers/edge-runner/index.ts', '../gateway/app.ts'],
  ['gpu-runner/predictions/runner-service.ts', 'sharp'],
  ['gpu-runner/predictions/runner-service.ts', 'onnxruntime-node'],
  ['gpu-runner/pictures/sharp-codec.ts', 'onnxruntime-node'],
  ['workers/web/main.ts', '../gateway/app.ts'],
  ['gpu-runner/ops/metrics.ts', '../predictions/prediction.ts'],
  ['gpu-runner/threads/worker-thread.ts', '../pictures/picture-restorer.ts'],
  ['gpu-runner/models/variants.ts', '../sessions/session-messages.ts'],
  ['gpu-runner/predictions/runner-service.ts', '../http/cog-contract.ts'],
  ['gpu-runner/http/predictions.ts', '../peers/peers.ts'],
  ['gpu-runner/http/predictions.ts', '../sessions/sessions.ts'],
  ['sdk/client/deblur.ts', '@deblur/shared/limits.ts'],
  ['sdk/client/deblur.ts', 'node:fs'],
  ['sdk/webhooks/index.ts', '@deblur/shared/protocol/standard-webhooks.ts'],
  ['sdk/local/restore-picture.ts', 'sharp'],
  ['sdk/local/restore-picture.ts', '../cli/report.ts'],
  ['sdk/cli/main.ts', '@deblur/shared/limits.ts'],
])('%s may not import %s', async (file, imported) => {
  expect(await complaints(file, imported)).toHaveLength(1);
});

it.each([
  ['shared/pixels/tiling.ts', './limits.ts'],
  ['shared/image-header/png.ts', '../errors.ts'],
  ['shared/protocol/options.ts', 'zod'],
  ['workers/gateway/restorations/placement.ts', '@deblur/shared/limits.ts'],
  ['workers/gateway/restorations/plan.ts', '../jobs/ports.ts'],
  ['workers/gateway/http/routes/deblur.ts', '../../restorations/placement.ts'],
  ['workers/gateway/http/routes/deblur.ts', './predictions.ts'],
  ['workers/gateway/predictions/prediction-table.ts', '../restorations/plan.ts'],
  ['workers/gateway/deps.ts', './runners/gpu-runner.ts'],
  ['workers/edge-runner/wasm-codec.ts', '@jsquash/webp'],
  ['workers/web/device/ort-session.ts', 'onnxruntime-web/jspi'],
  ['scripts/kernels/module.ts', 'wabt'],
  ['gpu-runner/pictures/sharp-codec.ts', 'sharp'],
  ['gpu-runner/pictures/picture-restorer.ts', '../sessions/sessions.ts'],
  ['gpu-runner/peers/pass-to-peers.ts', '../http/cog-contract.ts'],
  ['gpu-runner/http/predictions.ts', '../limits.ts'],
  ['sdk/webhooks/index.ts', 'standardwebhooks'],
  ['sdk/local/model.ts', 'onnxruntime-node'],
  ['sdk/cli/restore.ts', '../client/index.ts'],
])('%s may import %s', async (file, imported) => {
  expect(await complaints(file, imported)).toEqual([]);
});

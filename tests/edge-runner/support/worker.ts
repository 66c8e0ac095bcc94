/** The Worker under test, as the gateway sees it. */
import { exports } from 'cloudflare:workers';
import type { EdgeRunnerApi, EdgeRestoreReply } from '@deblur/shared/protocol/runner-api.ts';
import { manifestSchema, type ModelManifest } from '@deblur/shared/protocol/model-manifest.ts';
import type { EncodeOptions } from '@deblur/shared/protocol/options.ts';
import manifestJson from '../../../model-export/weights/dhnet-edge/manifest.json';

export const manifest: ModelManifest = manifestSchema.parse(manifestJson);

export const edge: EdgeRunnerApi = exports.EdgeRunner;

export function restore(source: Uint8Array, encoding: Partial<EncodeOptions> = {}): Promise<EdgeRestoreReply> {
  const { name: model, version: modelVersion } = manifest;
  return edge.restore({
    source,
    model,
    modelVersion,
    encoding: { format: 'png', quality: 90, metadata: 'keep', ...encoding },
  });
}

export function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

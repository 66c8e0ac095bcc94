/** What a create hands to the objects, for tests that reach them without HTTP. */
import { newPredictionId, newStreamSecret } from '../../../workers/gateway/predictions/prediction-id.ts';
import type { PredictionCommand } from '../../../workers/gateway/predictions/ports.ts';
import { host } from './sources.ts';
import manifest from '../../../model-export/weights/dhnet-edge/manifest.json';

/** Its picture is asked for by an address that answers 404. */
export function commandOf(): PredictionCommand {
  const url = host.url('/never');
  return {
    tenantId: 'other',
    scope: 'other',
    id: newPredictionId(),
    fingerprint: 'f',
    streamSecret: newStreamSecret(),
    account: { key: 'local', tier: 'local' },
    origin: 'https://deblur.test',
    model: 'deblur/dhnet-edge',
    modelVersion: manifest.version,
    options: { model: 'auto', format: 'auto', quality: 90, metadata: 'keep', working_scale: 'auto' },
    input: { image: url },
    source: { kind: 'url', url },
    deadlineSeconds: 60,
    webhook: null,
    webhookEvents: null,
  };
}

import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { EdgeIsolate } from '../../workers/edge-runner/isolate.ts';
import { fidelityFile } from '../suites/fidelity-files.ts';
import { manifest } from './support/worker.ts';

type Replace = (path: string) => Response | undefined;

/** The deployed assets, some of them replaced. */
function assetsWith(replace: Replace): Fetcher {
  const fetch: Fetcher['fetch'] = async (input, init) => {
    const { pathname } = new URL(String(input));
    return replace(pathname) ?? env.ASSETS.fetch(input, init);
  };
  return { ...env.ASSETS, fetch };
}

const request = {
  source: fidelityFile('size-1x1.png'),
  model: manifest.name,
  modelVersion: manifest.version,
  encoding: { format: 'png', quality: 90, metadata: 'keep' },
} as const;

it.each<[string, Replace]>([
  ['are missing', (path) => (path.endsWith('.safetensors') ? new Response(null, { status: 404 }) : undefined)],
  ['are not the ones of the manifest', (path) => (path.endsWith('.safetensors') ? new Response('weights') : undefined)],
  [
    'are not named by the manifest',
    (path) => (path.endsWith('manifest.json') ? Response.json({ ...manifest, checkpoint: undefined }) : undefined),
  ],
])('an isolate whose weights %s is not ready, and restores once they are there', async (_, replace) => {
  const isolate = new EdgeIsolate();
  const broken = assetsWith(replace);
  await expect(isolate.ready(broken)).rejects.toMatchObject({ code: 'runner_unavailable' });
  await expect(isolate.restore(broken, request)).rejects.toMatchObject({ code: 'runner_unavailable' });
  await expect(isolate.restore(env.ASSETS, request)).resolves.toMatchObject({ report: { tiles: 1 } });
});

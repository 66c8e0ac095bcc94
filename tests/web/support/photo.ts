/** A photo to choose, and the stand-in's answer: another picture of the same size, so that the two can be told apart. */
import { json, type Answer } from './server.ts';
import { MODELS, type TestFile } from './page.ts';
import { observePages, server, solid } from './observed-page.ts';

const SIZE = [320, 180] as const;

export const photo: TestFile = {
  name: 'street corner.png',
  mimeType: 'image/png',
  buffer: await solid(...SIZE, '#804020'),
};

export const restored = await solid(...SIZE, '#208040');

export function restoredAnswer(cache = 'miss', body = restored): Answer {
  const headers = {
    'Content-Type': 'image/png',
    'X-Model': 'dhnet-edge@0123456789ab',
    'X-Placement': 'edge',
    'X-Cache': cache,
    Link: '</v1/results/abc>; rel="canonical"',
  };
  return { status: 200, headers, body };
}

/** Pages of a service that restores at once. */
export function observeRestoringPages(): void {
  observePages(() => {
    server.service.models = json(MODELS);
    server.service.deblur = () => restoredAnswer();
  });
}

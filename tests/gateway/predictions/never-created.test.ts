/** What asking for a prediction that nobody created leaves behind. */
import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { createPorts } from '../../../workers/gateway/deps.ts';
import { newPredictionId, predictionName } from '../../../workers/gateway/predictions/prediction-id.ts';

it('asking for an invented prediction leaves nothing in storage', async () => {
  const { predictions } = createPorts(env);
  const id = newPredictionId();
  expect([
    await predictions.read('nobody', id),
    await predictions.next('nobody', id, null, 10),
    await predictions.cancel('nobody', id),
    await predictions.deliveries('nobody', id),
    await predictions.replay('nobody', id, 1),
  ]).toEqual([null, null, null, null, null]);
  const stub = env.PREDICTIONS.get(env.PREDICTIONS.idFromName(predictionName('nobody', id)));
  const left = await runInDurableObject(stub, async (_, { storage }) => [
    storage.sql.exec(`SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\'`).toArray(),
    await storage.getAlarm(),
  ]);
  expect(left).toEqual([[], null]);
});

import { expect, it } from 'vitest';
import { REMEMBERED_FOR_MS, REMEMBERED_OUTPUT_MAX_BYTES, REMEMBERED_PREDICTIONS } from '../../gpu-runner/limits.ts';
import { PredictionMemory } from '../../gpu-runner/predictions/prediction-memory.ts';
import { Prediction } from '../../gpu-runner/predictions/prediction.ts';
import { Slots } from '../../gpu-runner/predictions/slots.ts';
import { NO_TRACE } from './support/trace.ts';

const report = { tiles: 1, width: 1, height: 1, decodeMs: 0, restoreMs: 0, inferMs: 0, encodeMs: 0 };

function over(id: string, bytes = 0): Prediction {
  const prediction = new Prediction(id, { operation: 'restore', image: 'data:,' }, NO_TRACE);
  prediction.start();
  prediction.succeed({ format: 'png', bytes: new Uint8Array(bytes) }, report);
  return prediction;
}

it('forgets the oldest of too many, and never what still runs', () => {
  const memory = new PredictionMemory();
  memory.add(new Prediction('running', { operation: 'restore', image: 'data:,' }, NO_TRACE));
  for (let i = 0; i <= REMEMBERED_PREDICTIONS; i++) memory.add(over(`p${i}`));
  const now = Date.now();
  expect(memory.get('p0', now)).toBeUndefined();
  expect(memory.get('p1', now)).toBeDefined();
  expect(memory.get('running', now)).toBeDefined();
  expect(memory.running).toHaveLength(1);
});

it('forgets what is over for long', () => {
  const memory = new PredictionMemory();
  memory.add(over('p'));
  expect(memory.get('p', Date.now())).toBeDefined();
  expect(memory.get('p', Date.now() + REMEMBERED_FOR_MS + 1000)).toBeUndefined();
});

it('bounds the outputs that it holds, and keeps the newest whatever its size', () => {
  const memory = new PredictionMemory();
  memory.add(over('small'));
  memory.add(over('huge', REMEMBERED_OUTPUT_MAX_BYTES + 1));
  expect(memory.get('small', Date.now())).toBeUndefined();
  expect(memory.get('huge', Date.now())).toBeDefined();
});

it('shows no payload of a data URI', () => {
  const prediction = new Prediction('p', { operation: 'restore', image: 'data:image/png;base64,AAAA' }, NO_TRACE);
  expect(prediction.snapshot().input.image).toBe('data:image/png;base64,…');
});

it('gives as many slots as there are, and takes each back once', () => {
  const slots = new Slots(1);
  const release = slots.take();
  expect(slots.take()).toBeUndefined();
  release?.();
  release?.();
  expect(slots.busy).toBe(0);
  expect(slots.take()).toBeTypeOf('function');
  expect(slots.take()).toBeUndefined();
});

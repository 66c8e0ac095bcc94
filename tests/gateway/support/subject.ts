/** A prediction's object by itself: in a real one's storage, with stand-ins for the job and for the source's host. */
import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { createPredictionPorts } from '../../../workers/gateway/deps.ts';
import { newPredictionId } from '../../../workers/gateway/predictions/prediction-id.ts';
import type { DeliveryEvent } from '../../../workers/gateway/webhooks/delivery-ports.ts';
import type { PredictionCommand, PredictionSnapshot } from '../../../workers/gateway/predictions/ports.ts';
import { planJob } from '../../../workers/gateway/restorations/claim-restoration.ts';
import { resolveModel } from '../../../workers/gateway/restorations/models.ts';
import { PredictionResource, type PredictionPorts } from '../../../workers/gateway/predictions/prediction-object.ts';
import { ResultStore } from '../../../workers/gateway/results/result-store.ts';
import { SourceStore } from '../../../workers/gateway/sources/source-store.ts';
import { commandOf } from './command.ts';
import { png } from './pictures.ts';

/** The object's own class is abstract: the composition root derives the bound one just like this. */
class Subject extends PredictionResource {}

export interface Stage {
  readonly id: string;
  readonly state: DurableObjectState;
  readonly resultKey: string;
  readonly command: PredictionCommand;
  /** What the job and the webhook were told, in order. */
  readonly calls: readonly string[];
  readonly deliveries: readonly DeliveryEvent[];
  /** The object, or after `restart` its successor on the same storage. */
  subject(): PredictionResource;
  restart(): void;
  now(): PredictionSnapshot;
  status(): string;
  /** Stores what the job would have stored. */
  storeResult(): Promise<void>;
}

export interface StageOptions {
  readonly command?: Partial<PredictionCommand>;
  readonly ports?: Partial<PredictionPorts>;
  /** What `submit` does beside being noted. */
  readonly submit?: () => Promise<void>;
  readonly leave?: () => Promise<void>;
  readonly webhooks?: boolean;
}

export async function onStage<T>(options: StageOptions, play: (stage: Stage) => Promise<T>): Promise<T> {
  const id = newPredictionId();
  const stub = env.PREDICTIONS.get(env.PREDICTIONS.idFromName(`stage/${id}`));
  const real = createPredictionPorts(env);
  const model = resolveModel(real.catalogue, 'auto');
  const source = await new SourceStore(env.STORE, real.keys).receive(once(png()));
  const job = await planJob(real, { scope: 'stage', source, options: commandOf().options, accept: null });
  const command: PredictionCommand = {
    ...commandOf(),
    tenantId: 'stage',
    account: { key: 'stage', tier: 'local' },
    id,
    input: { image: `sha256:${source.digest}` },
    source: { kind: 'planned', job, megapixels: 0.5, result: null },
    ...options.command,
  };
  const calls: string[] = [];
  const deliveries: DeliveryEvent[] = [];
  const ports: PredictionPorts = {
    ...real,
    jobs: {
      submit: async (_, { subscriberId }) => {
        calls.push(`submit ${subscriberId}`);
        await options.submit?.();
        return { started: true };
      },
      leave: async (_, __, subscriberId) => {
        calls.push(`leave ${subscriberId}`);
        await options.leave?.();
      },
    },
    ...(options.webhooks === true ? { deliveries: () => queueOf(deliveries) } : {}),
    ...options.ports,
  };
  return runInDurableObject(stub, async (_, state) => {
    let subject = new Subject(state, env, ports);
    const now = (): PredictionSnapshot => {
      const snapshot = subject.read();
      if (snapshot === null) throw new Error('there is no prediction');
      return snapshot;
    };
    const played = await play({
      id,
      state,
      resultKey: job.task.resultKey,
      command,
      calls,
      deliveries,
      subject: () => subject,
      restart: () => (subject = new Subject(state, env, ports)),
      now,
      status: () => now().prediction.status,
      storeResult: () =>
        new ResultStore(env.STORE).put('result', job.task.resultKey, png(), 'image/png', {
          model: 'dhnet-edge',
          modelVersion: model.version,
          placement: 'runner',
          restoration: null,
        }),
    });
    // The bound class behind this storage has nothing to go on with.
    await state.storage.deleteAll();
    return played;
  });
}

function queueOf(deliveries: DeliveryEvent[]) {
  return {
    enqueue: (event: DeliveryEvent) => void deliveries.push(event),
    nextAttemptAt: () => null,
    runDue: () => Promise.resolve(),
    list: () => [],
    replay: () => 'unknown' as const,
    removeBodies: () => undefined,
  };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}

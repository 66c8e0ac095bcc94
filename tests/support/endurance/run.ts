/**
 * Many distinct pictures through the queue, while the runner is killed and the gateway, too: what must come out is what
 * would have come out had nothing happened.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { check } from './check.ts';
import { PatientClient } from './client.ts';
import { Pictures, SIDE } from './pictures.ts';
import { startWebhookReceiver, type WebhookReceiver } from './receiver.ts';
import { MortalService } from './service.ts';

export interface EnduranceOptions {
  readonly pictures: number;
  /** Folder of photographs to cut the pictures from; absent: those of the repository. */
  readonly data?: string | undefined;
  /** Each happens when its share of the pictures is done. */
  readonly deaths: readonly Death[];
  /** Predictions that the client has under way at once, at most. */
  readonly underWay: number;
  /** Predictions that the runner takes at once. */
  readonly slots: number;
  /** For the work, without the checks. */
  readonly timeoutSeconds: number;
  /** Ends the run; nothing is left running. */
  readonly signal?: AbortSignal;
  readonly say?: (line: string) => void;
  /** Gets the lines of the service's parts. */
  readonly log?: (line: string) => void;
}

export interface Death {
  readonly of: 'runner' | 'gateway';
  /** In [0, 1). */
  readonly at: number;
}

export interface EnduranceReport {
  readonly pictures: number;
  readonly succeeded: number;
  /** Results whose every sample is that of a direct `session.run` of the same picture. */
  readonly equal: number;
  readonly webhooks: {
    readonly taken: number;
    /** Of what had been told before, under the same id. */
    readonly repeated: number;
    readonly not_genuine: number;
  };
  readonly runner: {
    readonly lives: number;
    /** Predictions that it had at each of its deaths. */
    readonly killed_with: readonly number[];
    readonly refusals_when_full: number;
    readonly begun: number;
    readonly cut_off: number;
    /** Of those: killed between the upload of the result and its last line; the result counts, and is not made again. */
    readonly cut_off_after_upload: number;
    readonly gave_up: number;
    readonly completed: number;
    readonly completed_again: number;
  };
  readonly gateway: { readonly killed: number; readonly repeated_calls: number };
  readonly seconds: number;
  /** Empty when all is well. */
  readonly findings: readonly string[];
}

/** A picture and its prediction. */
export interface Ordered {
  readonly index: number;
  readonly id: string;
  readonly traceId: string;
}

/** What the acts of a run share. */
export interface Stage {
  readonly client: PatientClient;
  readonly pictures: Pictures;
  readonly receiver: WebhookReceiver;
  readonly service: MortalService;
}

export async function endure(options: EnduranceOptions): Promise<EnduranceReport> {
  const { slots, log, say = () => undefined } = options;
  const pictures = await Pictures.from(options.data);
  const receiver = await startWebhookReceiver();
  const service = await MortalService.start({ slots, allowOrigins: receiver.origin, ...(log ? { log } : {}) });
  const stage: Stage = { client: new PatientClient(service.url), pictures, receiver, service };
  try {
    receiver.trust(await stage.client.webhookSecret());
    const started = performance.now();
    const late = AbortSignal.timeout(options.timeoutSeconds * 1000);
    const stop = options.signal === undefined ? late : AbortSignal.any([late, options.signal]);
    const [ordered, killed] = await Promise.all([
      order(stage, options, stop),
      die(stage, options, stop),
      untilTold(stage, options, stop),
    ]);
    options.signal?.throwIfAborted();
    const seconds = Math.round((performance.now() - started) / 1000);
    say(`the work took ${seconds} s; now each result is compared with a direct run`);
    const checked = await check(stage, ordered, options.pictures);
    return { pictures: options.pictures, ...checked, ...figures(stage, killed), seconds };
  } finally {
    await service.stop();
    await receiver.close();
  }
}

const CALLERS = 8;

/** Creates a prediction of each picture, with no more under way than may be. */
async function order(
  { client, pictures, receiver }: Stage,
  { pictures: count, underWay }: EnduranceOptions,
  stop: AbortSignal,
): Promise<Ordered[]> {
  const ordered: Ordered[] = [];
  let next = 0;
  const call = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) {
      while (index - receiver.heard.size >= underWay && !stop.aborted) await sleep(20);
      if (stop.aborted) return;
      const traceId = randomBytes(16).toString('hex');
      const webhook = `${receiver.origin}/${index}`;
      const order = { picture: await pictures.at(index), tile: SIDE, webhook, traceId };
      const id = await client.create(order, stop);
      if (id !== undefined) ordered.push({ index, id, traceId });
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, call));
  return ordered;
}

interface Killed {
  readonly runner: readonly number[];
  readonly gateway: number;
}

/** Kills what is to be killed when its time has come. */
async function die(
  { service, receiver }: Stage,
  { pictures, deaths, say = () => undefined }: EnduranceOptions,
  stop: AbortSignal,
): Promise<Killed> {
  const runner: number[] = [];
  let gateway = 0;
  for (const { of, at } of deaths.toSorted((a, b) => a.at - b.at)) {
    while (receiver.heard.size < at * pictures && !stop.aborted) await sleep(20);
    if (stop.aborted) break;
    if (of === 'gateway') {
      await service.killGateway();
      gateway++;
    } else {
      runner.push(await service.killRunner(stop));
    }
    say(`${receiver.heard.size} done: SIGKILL to the ${of}`);
  }
  return { runner, gateway };
}

const NEWS_MS = 10_000;

/** Resolves when every prediction had its webhook, or time is up. */
async function untilTold(
  { receiver }: Stage,
  { pictures, say = () => undefined }: EnduranceOptions,
  stop: AbortSignal,
): Promise<void> {
  for (let waited = 0; receiver.heard.size < pictures && !stop.aborted; waited += 100) {
    if (waited % NEWS_MS === 0) say(`${receiver.heard.size} of ${pictures} done`);
    await sleep(100);
  }
}

function figures(
  { client, receiver, service: { book } }: Stage,
  killed: Killed,
): Pick<EnduranceReport, 'webhooks' | 'runner' | 'gateway'> {
  const heard = [...receiver.heard.values()].flat();
  return {
    webhooks: {
      taken: heard.length,
      repeated: heard.length - new Set(heard.map(({ webhookId }) => webhookId)).size,
      not_genuine: receiver.refused.length,
    },
    runner: {
      lives: book.lives,
      killed_with: killed.runner,
      refusals_when_full: book.refusals,
      begun: book.begun,
      cut_off: book.cutOff,
      cut_off_after_upload: book.cutOffAfterUpload,
      gave_up: book.gaveUp,
      completed: book.completed,
      completed_again: book.completedAgain,
    },
    gateway: { killed: killed.gateway, repeated_calls: client.repeats },
  };
}

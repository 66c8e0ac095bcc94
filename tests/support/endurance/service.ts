/**
 * The service as `npm start` runs it, in two parts that can be killed and started again at their old addresses, with their
 * old secrets and storage: what a supervisor does with a crash.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  freePort,
  orDeath,
  startRunner,
  startWorkers,
  stopAll,
  untilHealthy,
  type Part,
} from '../../../scripts/lib/service.ts';
import { RunnerBook } from './runner-book.ts';

export interface MortalServiceOptions {
  /** Predictions that the runner takes at once. */
  readonly slots: number;
  /** Origins on this machine that webhooks may go to. */
  readonly allowOrigins: string;
  readonly log?: (line: string) => void;
}

export class MortalService {
  readonly url: string;
  /** What the runners wrote down of their work, of all their lives. */
  readonly book = new RunnerBook();
  readonly #runnerUrl: string;
  readonly #stateDir: string;
  readonly #startRunner: () => Part;
  readonly #startGateway: () => Part;
  #runner: Part;
  #gateway: Part;

  private constructor(stateDir: string, [port, runnerPort]: readonly [number, number], options: MortalServiceOptions) {
    const { slots, allowOrigins, log = () => undefined } = options;
    this.url = `http://127.0.0.1:${port}`;
    this.#runnerUrl = `http://127.0.0.1:${runnerPort}`;
    this.#stateDir = stateDir;
    const [runnerToken, internalSecret] = [secret(), secret()];
    const { url } = this;
    const runnerUrl = this.#runnerUrl;
    const runnerEnv = { PORT: String(runnerPort), SLOTS: String(slots), EXECUTION_PROVIDER: 'cpu' };
    const read = (line: string): void => {
      log(line);
      this.book.read(line);
    };
    this.#startRunner = () => startRunner({ url, runnerToken, log: read, env: runnerEnv });
    const vars = { ALLOW_ORIGINS: allowOrigins };
    this.#startGateway = () => startWorkers({ port, stateDir, runnerUrl, runnerToken, log, internalSecret, vars });
    this.#runner = this.#startRunner();
    this.#gateway = this.#startGateway();
  }

  /** Resolves when the first request can be served. */
  static async start(options: MortalServiceOptions): Promise<MortalService> {
    const stateDir = await mkdtemp(path.join(tmpdir(), 'deblur-endurance-'));
    const service = new MortalService(stateDir, [await freePort(), await freePort()], options);
    try {
      await orDeath(untilHealthy(service.url), undefined, service.#runner, service.#gateway);
      return service;
    } catch (error) {
      await service.stop();
      throw error;
    }
  }

  /**
   * SIGKILL while it is at work, then a new process.
   * @returns how many predictions it had; 0 when there was no work for it until `stop`
   */
  async killRunner(stop: AbortSignal): Promise<number> {
    while (!stop.aborted) {
      const busy = await this.#busySlots();
      if (busy > 0) {
        await stopAll([this.#runner.child], 'SIGKILL');
        this.#runner = this.#startRunner();
        return busy;
      }
      await sleep(5);
    }
    return 0;
  }

  /** SIGKILL to wrangler and to workerd, then both anew on the same storage. Resolves when it listens again. */
  async killGateway(): Promise<void> {
    await stopAll([this.#gateway.child], 'SIGKILL');
    this.#gateway = this.#startGateway();
    await orDeath(untilHealthy(this.url), undefined, this.#gateway);
  }

  async stop(): Promise<void> {
    await stopAll([this.#runner.child, this.#gateway.child]);
    await rm(this.#stateDir, { recursive: true, force: true });
  }

  async #busySlots(): Promise<number> {
    try {
      const response = await fetch(`${this.#runnerUrl}/health-check`, { signal: AbortSignal.timeout(2_000) });
      return ((await response.json()) as { slots: { busy: number } }).slots.busy;
    } catch {
      // It is still coming up from the last time.
      return 0;
    }
  }
}

const secret = (): string => randomBytes(32).toString('hex');

/** What runners say of their work in their logs, which outlive them. */

/** `restore-{resultKey}-{attempt}`: how the gateway names what it hands over. */
const NAME = /^restore-([0-9a-f]{64})-\d+$/;

interface Line {
  readonly event: string;
  readonly method?: string;
  readonly path?: string;
  readonly status?: number | string;
  readonly id?: string;
  readonly trace_id?: string;
}

export class RunnerBook {
  /** Processes that came to serve. */
  lives = 0;
  /** Times that one was asked for more than it takes. */
  refusals = 0;
  /** Attempts, with their traces. */
  readonly #begun = new Map<string, string | undefined>();
  readonly #ended = new Set<string>();
  /** By ResultKey: the traces of its inferences that were completed. */
  readonly #completed = new Map<string, (string | undefined)[]>();

  /** @param line of the runner, with its `[runner] ` before it; everything that is not JSON is passed over */
  read(line: string): void {
    const json = line.slice(line.indexOf('] ') + 2);
    if (!json.startsWith('{')) return;
    const { event, method, path = '', status, id = '', trace_id: traceId } = JSON.parse(json) as Line;
    if (event === 'ready') this.lives++;
    if (event === 'request' && method === 'PUT') {
      if (status === 409) this.refusals++;
      if (status === 202 || status === 200) this.#begun.set(path.slice(path.lastIndexOf('/') + 1), traceId);
    }
    if (event !== 'prediction') return;
    this.#ended.add(id);
    const resultKey = resultKeyOf(id);
    if (status !== 'succeeded' || resultKey === undefined) return;
    this.#completed.set(resultKey, [...(this.#completed.get(resultKey) ?? []), traceId]);
  }

  /** Inferences that were begun, by attempts. */
  get begun(): number {
    return this.#begun.size;
  }

  /** Attempts that a kill ended. */
  get cutOff(): number {
    return this.#cutOff().length;
  }

  /** Of those: the only word of their picture. If it succeeded, its files were there before the kill, and nobody did it again. */
  get cutOffAfterUpload(): number {
    return this.#cutOff().filter((name) => !this.#completed.has(resultKeyOf(name) ?? '')).length;
  }

  #cutOff(): string[] {
    return [...this.#begun.keys()].filter((name) => !this.#ended.has(name));
  }

  /** Attempts that came to another end than success. */
  get gaveUp(): number {
    return this.#ended.size - this.completed;
  }

  /** Inferences that came to their end, those done again included. */
  get completed(): number {
    return [...this.#completed.values()].reduce((sum, traces) => sum + traces.length, 0);
  }

  /** How many of them were of a picture that had been completed before. */
  get completedAgain(): number {
    return this.completed - this.#completed.size;
  }

  /** Of one result's inferences that were completed, or else were killed between their uploads and the line that tells of them. */
  tracesOf(resultKey: string): readonly (string | undefined)[] {
    const killed = this.#cutOff().filter((name) => resultKeyOf(name) === resultKey);
    return this.#completed.get(resultKey) ?? killed.map((name) => this.#begun.get(name));
  }
}

const resultKeyOf = (name: string): string | undefined => NAME.exec(name)?.[1];

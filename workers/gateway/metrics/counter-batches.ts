/**
 * One isolate's counts on their way to the object that adds them up. A batch is sealed before it is sent and sent until it
 * is acknowledged, under one sequence number: the object adds each at most once, and what comes meanwhile goes with the next.
 */
export type SeriesCounts = Readonly<Record<string, number>>;

export interface CounterBatch {
  readonly reporter: string;
  readonly sequence: number;
  readonly counts: SeriesCounts;
}

export class CounterBatches {
  readonly #reporter: string;
  #open = new Map<string, number>();
  #sealed: CounterBatch | null = null;
  #sequence = 0;

  /** @param reporter unique to this isolate */
  constructor(reporter: string) {
    this.#reporter = reporter;
  }

  add(series: string, by: number): void {
    this.#open.set(series, (this.#open.get(series) ?? 0) + by);
  }

  /** The batch to send next: the one that was not acknowledged, or a new one; null when there is nothing. */
  next(): CounterBatch | null {
    if (this.#sealed === null && this.#open.size > 0) {
      this.#sealed = { reporter: this.#reporter, sequence: ++this.#sequence, counts: Object.fromEntries(this.#open) };
      this.#open = new Map();
    }
    return this.#sealed;
  }

  acknowledge({ sequence }: CounterBatch): void {
    if (this.#sealed?.sequence === sequence) this.#sealed = null;
  }
}

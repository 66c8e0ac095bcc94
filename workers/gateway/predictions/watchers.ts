/** Who waits in memory for a prediction to change. They are lost with the object, and ask again. */
export class Watchers {
  readonly #watchers = new Set<() => void>();

  wake(): void {
    for (const wake of this.#watchers) wake();
    this.#watchers.clear();
  }

  /** Resolves with the next change, or after so long. */
  async change(ms: number): Promise<void> {
    const change = Promise.withResolvers<undefined>();
    const wake = (): void => change.resolve(undefined);
    const timer = setTimeout(wake, ms);
    this.#watchers.add(wake);
    await change.promise;
    clearTimeout(timer);
    this.#watchers.delete(wake);
  }
}

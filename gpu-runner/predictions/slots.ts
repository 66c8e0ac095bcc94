/** Bounded permits. Taking one never waits: at capacity the caller is told so, and tries again later or elsewhere. */
export class Slots {
  readonly total: number;
  #busy = 0;

  constructor(total: number) {
    this.total = total;
  }

  get busy(): number {
    return this.#busy;
  }

  /** @returns its release, which counts once however often it is called; undefined when every slot is taken */
  take(): (() => void) | undefined {
    if (this.#busy >= this.total) return undefined;
    this.#busy++;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#busy--;
    };
  }
}

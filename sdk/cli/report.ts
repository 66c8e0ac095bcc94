/** What the command prints: results on stdout, failures and the line of progress on stderr. */

export class Report {
  readonly #quiet: boolean;
  readonly #total: number;
  readonly #running = new Map<string, string>();
  #finished = 0;
  #skipped = 0;
  #failed = 0;

  constructor(total: number, quiet: boolean) {
    this.#total = total;
    this.#quiet = quiet;
  }

  get failed(): number {
    return this.#failed;
  }

  /** @param state such as `3/9 tiles` */
  running(name: string, state: string): void {
    this.#running.set(name, state);
    this.#show();
  }

  finished(name: string, line: string): void {
    this.#finished++;
    this.#end(name, () => this.#quiet || console.log(line));
  }

  skipped(name: string): void {
    this.#skipped++;
    this.#end(name, () => undefined);
  }

  failure(name: string, reason: string): void {
    this.#failed++;
    this.#end(name, () => console.error(`${name}: ${reason.replace(/\s*\n\s*/g, ' ')}`));
  }

  /** Begun, and then given up because the whole command ended. */
  dropped(name: string): void {
    this.#end(name, () => undefined);
  }

  summary(): void {
    this.#clear();
    const untried = this.#total - this.#finished - this.#skipped - this.#failed;
    const parts = [
      `${this.#finished} restored`,
      `${this.#skipped} skipped`,
      `${this.#failed} failed`,
      ...(untried > 0 ? [`${untried} not tried`] : []),
    ];
    if (!this.#quiet || this.#failed + untried > 0) console.error(parts.join(', '));
  }

  #end(name: string, print: () => void): void {
    this.#running.delete(name);
    this.#clear();
    print();
    this.#show();
  }

  get #hasLine(): boolean {
    return process.stderr.isTTY && !this.#quiet;
  }

  #show(): void {
    if (!this.#hasLine) return;
    const done = this.#finished + this.#skipped + this.#failed;
    const running = [...this.#running].map(([name, state]) => `${name} ${state}`).join(', ');
    const line = `${done}/${this.#total} ${running}`;
    process.stderr.write(`\r\u001B[K${line.slice(0, (process.stderr.columns ?? 80) - 1)}`);
  }

  #clear(): void {
    if (this.#hasLine) process.stderr.write('\r\u001B[K');
  }
}

/** One JSON line per event: events on stdout, where a parent process reads them; failures on stderr. */

export interface Log {
  info(event: string, fields?: Readonly<Record<string, unknown>>): void;
  /** For the operator only: unlike a DeblurError's detail it may carry paths and native messages. */
  error(event: string, error: unknown, fields?: Readonly<Record<string, unknown>>): void;
}

export const consoleLog: Log = {
  info(event, fields = {}) {
    process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
  },
  error(event, error, fields = {}) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`${JSON.stringify({ event, ...fields, error: message, ...causeOf(error) })}\n`);
  },
};

function causeOf(error: unknown): { cause?: string } {
  return error instanceof Error && error.cause !== undefined ? { cause: String(error.cause) } : {};
}

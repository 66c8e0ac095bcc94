/** Server-sent events (WHATWG HTML § 9.2) from the body of an answer, in every runtime that has fetch. */

export interface ServerSentEvent {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: string;
}

/**
 * Events as they arrive, until the body ends. An event that was not finished by an empty line is dropped.
 * @throws what reading the body throws; {Error} when nothing came for `silenceMs`
 */
export async function* serverSentEvents(
  body: ReadableStream<Uint8Array>,
  silenceMs: number,
): AsyncGenerator<ServerSentEvent, void> {
  let fields: [name: string, value: string][] = [];
  for await (const line of linesOf(body, silenceMs)) {
    if (line !== '') {
      fields.push(fieldOf(line));
      continue;
    }
    const event = eventOf(fields);
    fields = [];
    if (event !== undefined) yield event;
  }
}

/** A line that begins with a colon is a comment: its name is empty. */
function fieldOf(line: string): [name: string, value: string] {
  const colon = line.indexOf(':');
  if (colon < 0) return [line, ''];
  return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')];
}

function eventOf(fields: readonly (readonly [name: string, value: string])[]): ServerSentEvent | undefined {
  const valuesOf = (name: string): string[] => fields.filter(([other]) => other === name).map(([, value]) => value);
  const data = valuesOf('data');
  if (data.length === 0) return undefined;
  return { event: valuesOf('event').at(-1) ?? 'message', id: valuesOf('id').at(-1), data: data.join('\n') };
}

/** A carriage return at the end of a piece waits for the next piece, which may begin with its line feed. */
async function* linesOf(body: ReadableStream<Uint8Array>, silenceMs: number): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let text = '';
  try {
    for (;;) {
      const { value, done } = await withinMs(silenceMs, reader.read());
      text += decoder.decode(value, { stream: !done });
      const lines = text.split(done ? /\r\n|\n|\r/ : /\r\n|\n|\r(?!$)/);
      text = lines.pop() ?? '';
      yield* lines;
      if (done) return;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

async function withinMs<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing came for ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

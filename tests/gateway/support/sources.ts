/** The tests' side of the host of pictures. */
import { inject } from 'vitest';
import type { Script, SourceAnswer, SourceRequest } from './source-host.ts';

export const SOURCE_ORIGIN = inject('sourceUrl');

async function control(method: string, script?: Script): Promise<readonly SourceRequest[]> {
  const init = script === undefined ? { method } : { method, body: JSON.stringify(script) };
  return (await fetch(`${SOURCE_ORIGIN}/control`, init)).json<SourceRequest[]>();
}

let hosted = 0;

/** A new address under which these are the answers, the last one for ever. */
export async function hostedAt(...answers: readonly SourceAnswer[]): Promise<string> {
  const path = `/pictures/${++hosted}`;
  await control('PATCH', { [path]: answers });
  return host.url(path);
}

export const host = {
  url: (path: string): string => `${SOURCE_ORIGIN}${path}`,
  /** Forgets what it saw, and answers so from now on: a path's answers one after the other, the last one for ever. */
  serve: async (answers: Readonly<Record<string, SourceAnswer | readonly SourceAnswer[]>>): Promise<void> => {
    const script = Object.entries(answers).map(([path, answer]) => [path, [answer].flat()] as const);
    await control('PUT', Object.fromEntries(script));
  },
  requests: (): Promise<readonly SourceRequest[]> => control('GET'),
  requestsFor: async (url: string): Promise<number> =>
    (await control('GET')).filter(({ path }) => path === new URL(url).pathname).length,
};

export const picture = (bytes: Uint8Array, headers: Record<string, string> = {}): SourceAnswer => ({
  headers,
  body: bytes.toBase64(),
});

export const redirect = (location: string, status = 302): SourceAnswer => ({ status, headers: { location } });

/** The tests' side of the host of pictures. */
import { inject } from 'vitest';
import type { ScriptedAnswer, SourceRequest } from './source-stand-in.ts';

const ORIGIN = inject('sourceUrl');

interface State {
  readonly answers: Readonly<Record<string, ScriptedAnswer>>;
  readonly requests: readonly SourceRequest[];
}

async function control(init?: RequestInit): Promise<State> {
  return (await fetch(`${ORIGIN}/control`, init)).json<State>();
}

export const host = {
  url: (path: string): string => `${ORIGIN}${path}`,
  /** Forgets what it saw, and answers so from now on. */
  serve: async (answers: Readonly<Record<string, ScriptedAnswer>>): Promise<void> => {
    await control({ method: 'PUT', body: JSON.stringify({ answers }) });
  },
  requests: async (): Promise<readonly SourceRequest[]> => (await control()).requests,
};

export const picture = (bytes: Uint8Array, headers: Record<string, string> = {}): ScriptedAnswer => ({
  headers,
  body: bytes.toBase64(),
});

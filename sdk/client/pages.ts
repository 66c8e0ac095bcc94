import type { Transport } from './transport.ts';

interface Page<Item> {
  readonly next: string | null;
  readonly results: readonly Item[];
}

/** The items of a list, page after page. Only the cursor is taken from `next`: requests stay at the service's address. */
export async function* pagesOf<Item>(
  transport: Transport,
  path: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Item, void> {
  let query: Record<string, string> = {};
  for (;;) {
    const response = await transport.call(path, { query, signal, repeat: 'always' });
    const { next, results } = (await response.json()) as Page<Item>;
    yield* results;
    const cursor = next === null ? null : new URL(next).searchParams.get('cursor');
    if (cursor === null) return;
    query = { cursor };
  }
}

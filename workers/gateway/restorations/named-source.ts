/** A picture that is named instead of sent: a file or a result of ours is opened, an address elsewhere is fetched. */
import { RATE_LIMIT_UNKNOWN_MEGAPIXELS } from '@deblur/shared/limits.ts';
import { bodyTooLarge, namesNoSource, notASourceName, ownUrlNotAllowed } from '@deblur/shared/protocol/errors.ts';
import type { ResultStore } from '../results/result-store.ts';
import type { SourceFetcher } from '../sources/source-fetcher.ts';
import type { ReceivedSource, SourceStore, StoredBody } from '../sources/source-store.ts';
import type { Files, RateAccount, RateLimits } from '../tenants/access-ports.ts';
import { pay, type Payment } from './claim-restoration.ts';

export interface NamedSourcePorts {
  readonly sources: Pick<SourceStore, 'receive'>;
  readonly results: Pick<ResultStore, 'get'>;
  readonly files: Files;
  /** Judges an address that a user gave, without calling it. @throws {DeblurError} `forbidden`, `malformed_request` */
  readonly checkUrl: (url: string) => void;
}

/** Who names a picture, and where: an address under the request's own origin is ours. */
export interface Naming {
  readonly tenantId: string;
  readonly origin: string;
}

/**
 * @param maxBytes of an upload in its place
 * @returns null for an address elsewhere, which was judged and not called
 * @throws {DeblurError} `invalid_option` for a name of nothing, `forbidden`, and what the picture's header says against it
 */
export async function openNamed(
  ports: NamedSourcePorts,
  { tenantId, origin }: Naming,
  image: string,
  maxBytes: number,
): Promise<ReceivedSource | null> {
  const own = ownResource(origin, image);
  if (own === null) {
    ports.checkUrl(image);
    return null;
  }
  const body = own.kind === 'file' ? await ports.files.open(tenantId, own.id) : await openResult(ports, own.id);
  if (body === null) throw namesNoSource('image', own.kind);
  if (body.size > maxBytes) {
    await body.body.cancel();
    throw bodyTooLarge(maxBytes);
  }
  return ports.sources.receive(chunksOf(body.body));
}

/**
 * The same, and an address is called at once.
 * @param terms the caller's; a fetch is paid for before it begins
 * @returns the picture, and how its restoration is paid for
 * @throws {DeblurError} as openNamed, SourceFetcher.fetch and SourceStore.receive do; nothing is left stored
 */
export async function receiveNamed(
  ports: NamedSourcePorts & {
    readonly sourceFetcher: Pick<SourceFetcher, 'fetch'>;
    readonly rateLimits: Pick<RateLimits, 'charge'>;
  },
  terms: Naming & { readonly account: RateAccount },
  image: string,
  { maxBytes, signal }: { readonly maxBytes: number; readonly signal: AbortSignal },
): Promise<{ readonly source: ReceivedSource; readonly payment: Payment }> {
  const { account } = terms;
  const own = await openNamed(ports, terms, image, maxBytes);
  if (own !== null) return { source: own, payment: { kind: 'before', account } };
  await pay(ports.rateLimits, { kind: 'before', account }, RATE_LIMIT_UNKNOWN_MEGAPIXELS);
  const source = await ports.sources.receive(await ports.sourceFetcher.fetch(image, signal));
  return { source, payment: { kind: 'rest', account } };
}

async function openResult({ results }: NamedSourcePorts, key: string): Promise<StoredBody | null> {
  const found = await results.get('result', key);
  return found?.kind === 'stored' ? found : null;
}

/** A file's id, or the address of a file or a result; null for an address that is not ours. */
function ownResource(origin: string, image: string): { kind: 'file' | 'result'; id: string } | null {
  if (/^[A-Za-z0-9_-]{1,64}$/.test(image)) return { kind: 'file', id: image };
  if (!URL.canParse(image)) throw notASourceName('image');
  const url = new URL(image);
  if (url.origin !== origin) return null;
  const [, kind, id] = /^\/v1\/(file|result)s\/([A-Za-z0-9_-]{1,64})$/.exec(url.pathname) ?? [];
  if (id !== undefined) return { kind: kind === 'file' ? 'file' : 'result', id };
  // We do not call ourselves: a request could ask for the next one, and so on.
  throw ownUrlNotAllowed();
}

async function* chunksOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of body) yield chunk;
}

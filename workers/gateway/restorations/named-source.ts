/** A picture that is named instead of sent: a file or a result of ours is opened, what lies elsewhere is fetched. */
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { RATE_LIMIT_UNKNOWN_MEGAPIXELS } from '@deblur/shared/limits.ts';
import { invalidOption } from '@deblur/shared/protocol/options.ts';
import type { Files } from '../tenants/access-ports.ts';
import type { ReceivedSource, SourceStore, StoredBody } from '../sources/ports.ts';
import type { ResultStore } from '../results/ports.ts';
import type { CheckUrl, SourceFetcher } from '../sources/ports.ts';

export interface NamedSourcePorts {
  readonly sources: SourceStore;
  readonly results: ResultStore;
  readonly files: Files;
  readonly checkUrl: CheckUrl;
}

/** Who names it, and where: what is under the request's own origin is ours. */
export interface Naming {
  readonly tenantId: string;
  readonly origin: string;
}

/** What a restoration costs is paid before it. @throws {DeblurError} `rate_limited` */
type Pay = (megapixels: number) => Promise<void>;

/**
 * @param maxBytes of an upload in its place
 * @returns null for an address of somebody else: it was judged and not called
 * @throws {DeblurError} `invalid_option` for what names nothing, `forbidden`, and what the picture's header says against it
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
  const body: StoredBody | null =
    own.kind === 'file' ? await ports.files.open(tenantId, own.id) : await ports.results.get('result', own.id);
  if (body === null) throw invalidOption('image', `there is no such ${own.kind}`);
  if (body.size > maxBytes) throw new DeblurError('body_too_large', `The ${own.kind} has more than ${maxBytes} bytes.`);
  return ports.sources.receive(chunksOf(body.body));
}

/**
 * The same, and an address is called at once.
 * @param terms the caller's; a fetch costs what it costs a prediction, before it begins: nobody has us call for nothing
 * @returns the picture, and how what its restoration costs beyond that is paid
 * @throws {DeblurError} as openNamed, SourceFetcher.fetch and SourceStore.receive do; nothing is left stored
 */
export async function receiveNamed(
  ports: NamedSourcePorts & { readonly sourceFetcher: Pick<SourceFetcher, 'fetch'> },
  terms: Naming & { readonly pay: Pay },
  image: string,
  { maxBytes, signal }: { readonly maxBytes: number; readonly signal: AbortSignal },
): Promise<{ readonly source: ReceivedSource; readonly pay: Pay }> {
  const own = await openNamed(ports, terms, image, maxBytes);
  if (own !== null) return { source: own, pay: terms.pay };
  await terms.pay(RATE_LIMIT_UNKNOWN_MEGAPIXELS);
  const source = await ports.sources.receive(await ports.sourceFetcher.fetch(image, signal));
  const payRest: Pay = async (megapixels) => {
    if (megapixels > RATE_LIMIT_UNKNOWN_MEGAPIXELS) await terms.pay(megapixels - RATE_LIMIT_UNKNOWN_MEGAPIXELS);
  };
  return { source, pay: payRest };
}

/** A file's id, or the address of a file or a result; null for an address that is not ours. */
function ownResource(origin: string, image: string): { kind: 'file' | 'result'; id: string } | null {
  if (/^[A-Za-z0-9_-]{1,64}$/.test(image)) return { kind: 'file', id: image };
  if (!URL.canParse(image)) throw invalidOption('image', 'must be an https URL, a base64 data: URI or a file id');
  const url = new URL(image);
  if (url.origin !== origin) return null;
  const [, kind, id] = /^\/v1\/(file|result)s\/([A-Za-z0-9_-]{1,64})$/.exec(url.pathname) ?? [];
  if (id !== undefined) return { kind: kind === 'file' ? 'file' : 'result', id };
  // We do not call ourselves: a request could ask for the next one, and so on.
  throw new DeblurError('forbidden', 'Of this service only files and results can be named.');
}

async function* chunksOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of body) yield chunk;
}

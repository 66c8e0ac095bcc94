/** A request body becomes a picture and options: raw bytes, a form, or JSON that holds or names it. */
import {
  dataUriNotBase64,
  DeblurError,
  fieldMissing,
  notASourceName,
  optionGivenTwice,
  optionTooLong,
  pictureAltered,
} from '@deblur/shared/protocol/errors.ts';
import {
  JSON_BODY_MAX_BYTES,
  MULTIPART_FIELDS_MAX_BYTES,
  SOURCE_URL_MAX_CHARACTERS,
  SYNC_UPLOAD_MAX_BYTES,
} from '@deblur/shared/limits.ts';
import { parseOptions, type Options } from '@deblur/shared/protocol/options.ts';
import type { ReceivedSource, SourceStore } from '../../sources/source-store.ts';
import { assertContentLength, bodyChunks, bodyText, limitBytes, textOf } from './body.ts';
import { readForm, type FormPart } from './form.ts';
import { parseJsonObject } from './json.ts';

export interface Upload {
  /** The bytes, or the text that names them: an address or a file's id. */
  readonly image: ReceivedSource | string;
  readonly options: Options;
}

/** Names and values as they came, from one place of a request. */
export type Entries = readonly (readonly [name: string, value: unknown])[];

/**
 * The bytes decide what a picture is; the declared type only tells a form and JSON from bytes.
 * @throws {DeblurError} whatever is wrong with body or options; nothing is left stored
 */
export async function readUpload(request: Request, sources: Pick<SourceStore, 'receive'>): Promise<Upload> {
  const contentType = request.headers.get('content-type') ?? '';
  const mediaType = contentType.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  const query: Entries = [...new URL(request.url).searchParams];
  if (mediaType === 'multipart/form-data') return readFormUpload(request, contentType, query, sources);
  // Options that come before the body are judged before the body is read.
  const early = mergeOptions(query);
  if (mediaType === 'application/json') return readJsonUpload(request, query, sources);
  assertContentLength(request.headers.get('content-length') ?? undefined, SYNC_UPLOAD_MAX_BYTES);
  return { image: await receiveRaw(request, mediaType, sources, SYNC_UPLOAD_MAX_BYTES), options: early };
}

/** The body itself. curl calls it a form unless it is told otherwise, and `curl -d` removes its line ends. */
export async function receiveRaw(
  request: Request,
  mediaType: string,
  sources: Pick<SourceStore, 'receive'>,
  maxBytes: number,
): Promise<ReceivedSource> {
  try {
    return await sources.receive(bodyChunks(request.body, maxBytes));
  } catch (error) {
    if (mediaType !== 'application/x-www-form-urlencoded' || !(error instanceof DeblurError)) throw error;
    throw isOfPicture(error) ? pictureAltered(error) : error;
  }
}

const isOfPicture = ({ code }: DeblurError): boolean => code === 'unsupported_media_type' || code.startsWith('image_');

/** A picture of a form: its bytes, or, in a part without a file name, the text that names it. */
export class FormPicture {
  readonly image: ReceivedSource | string;

  constructor(image: ReceivedSource | string) {
    this.image = image;
  }

  async discard(): Promise<void> {
    if (typeof this.image !== 'string') await this.image.discard();
  }
}

/** @throws {DeblurError} what is wrong with the bytes, or with the text */
export async function receivePart(
  picture: AsyncIterable<Uint8Array>,
  { name }: FormPart,
  sources: Pick<SourceStore, 'receive'>,
  maxBytes: number,
): Promise<FormPicture> {
  const chunks = picture[Symbol.asyncIterator]();
  const first = await chunks.next();
  const rest = limitBytes(resumed(first, chunks), maxBytes);
  const isText = name === undefined && !first.done && /^\s*(?:https?:|data:|file_)/i.test(beginning(first.value));
  if (!isText) return new FormPicture(await sources.receive(rest));
  const text = await textOf(limitBytes(rest, JSON_BODY_MAX_BYTES));
  return new FormPicture(await receiveText(text, sources));
}

const beginning = (chunk: Uint8Array): string => String.fromCharCode(...chunk.subarray(0, 16));

async function* resumed(
  first: IteratorResult<Uint8Array>,
  chunks: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (let next = first; !next.done; next = await chunks.next()) yield next.value;
}

async function readFormUpload(
  request: Request,
  contentType: string,
  query: Entries,
  sources: Pick<SourceStore, 'receive'>,
): Promise<Upload> {
  const maxBytes = SYNC_UPLOAD_MAX_BYTES + MULTIPART_FIELDS_MAX_BYTES;
  assertContentLength(request.headers.get('content-length') ?? undefined, maxBytes);
  const { image: picture, fields } = await readForm(bodyChunks(request.body, maxBytes), contentType, (part, head) =>
    receivePart(part, head, sources, SYNC_UPLOAD_MAX_BYTES),
  );
  if (picture === undefined) throw fieldMissing('image');
  try {
    return { image: picture.image, options: mergeOptions(query, fields) };
  } catch (error) {
    await picture.discard();
    throw error;
  }
}

async function readJsonUpload(
  request: Request,
  query: Entries,
  sources: Pick<SourceStore, 'receive'>,
): Promise<Upload> {
  assertContentLength(request.headers.get('content-length') ?? undefined, JSON_BODY_MAX_BYTES);
  const { image, ...rest } = parseJsonObject(await bodyText(request.body, JSON_BODY_MAX_BYTES));
  const options = mergeOptions(query, Object.entries(rest));
  if (image === undefined) throw fieldMissing('image');
  return { image: await receiveText(image, sources), options };
}

/**
 * The picture of a JSON body: the bytes of a data: URI, or the text that names it.
 * @throws {DeblurError} `invalid_option`, and what is wrong with the bytes
 */
export async function receiveText(
  image: unknown,
  sources: Pick<SourceStore, 'receive'>,
): Promise<ReceivedSource | string> {
  if (typeof image !== 'string') throw notASourceName('image');
  const text = image.trim();
  if (isDataUri(text)) return sources.receive(once(decodeDataUri(text)));
  if (text.length <= SOURCE_URL_MAX_CHARACTERS) return text;
  throw /^https?:/i.test(text) ? optionTooLong('image', SOURCE_URL_MAX_CHARACTERS) : notASourceName('image');
}

/** @throws {DeblurError} `invalid_option`, `unknown_option` */
export function mergeOptions(...places: readonly Entries[]): Options {
  return parseOptions(mergeEntries(...places));
}

/**
 * One set of values from several places. Saying a thing twice is fine, saying two things is not.
 * @throws {DeblurError} `invalid_option`
 */
export function mergeEntries(...places: readonly Entries[]): Record<string, unknown> {
  const merged = new Map<string, unknown>();
  for (const [name, value] of places.flat()) {
    if (merged.has(name) && !saysTheSame(merged.get(name), value)) {
      throw optionGivenTwice(name);
    }
    merged.set(name, value);
  }
  return Object.fromEntries(merged);
}

/** As text, because a query and a form have nothing else: `?quality=50` is JSON's 50. A list or an object is never text. */
function saysTheSame(one: unknown, other: unknown): boolean {
  return isScalar(one) && isScalar(other) && String(one) === String(other);
}

const isScalar = (value: unknown): value is string | number | boolean =>
  ['string', 'number', 'boolean'].includes(typeof value);

const isDataUri = (text: string): boolean => /^data:/i.test(text);

/** RFC 2397, base64 only, also of base64url and percent-encoded. @throws {DeblurError} `invalid_option` */
function decodeDataUri(image: string): Uint8Array {
  const comma = image.indexOf(',');
  const head = image.slice(0, Math.min(Math.max(comma, 0), 256));
  if (!/^data:[^,]*;\s*base64$/i.test(head)) throw dataUriNotBase64('image');
  try {
    const payload = image.slice(comma + 1);
    const decoded = payload.includes('%') ? decodeURIComponent(payload) : payload;
    // A form's decoder writes + as a blank.
    return Uint8Array.fromBase64(decoded.replaceAll(' ', '+').replaceAll('-', '+').replaceAll('_', '/'));
  } catch {
    throw dataUriNotBase64('image');
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  if (bytes.length > 0) yield bytes;
}

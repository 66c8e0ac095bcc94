/** multipart/form-data (RFC 7578) as a stream: this Worker's only use of the form parser. */
import { Busboy, type BusboyFileStream, type BusboyInstance } from '@fastify/busboy';
import {
  bodyBrokeOff,
  fieldTooLong,
  fieldWithoutName,
  fileInWrongField,
  formBroken,
  formTooLong,
  formWithoutBoundary,
  severalFiles,
  tooManyFields,
} from '@deblur/shared/protocol/errors.ts';
import { MULTIPART_FIELDS_MAX_BYTES, REFUSED_BODY_DRAIN_MS } from '@deblur/shared/limits.ts';
import { withTimeout } from '../../with-timeout.ts';

/** A picture taken in, as ReceivedSource: what was stored of it goes when the form is refused behind it. */
interface Received {
  discard(): Promise<void>;
}

/** What the head of the picture's part says of it. */
export interface FormPart {
  readonly name: string | undefined;
}

export interface Form<Image> {
  /** Undefined when there was no such part. */
  readonly image: Image | undefined;
  /** The other parts, in their order. */
  readonly fields: readonly (readonly [name: string, value: string])[];
}

/** Of the picture, what the parser's stream may hold that was not taken yet. */
const PARSER_BUFFER_MAX_BYTES = 1024 * 1024;

const LIMITS = {
  files: 1,
  fields: 32,
  fieldSize: 1024,
  headerPairs: 16,
  headerSize: MULTIPART_FIELDS_MAX_BYTES,
};

/**
 * Reads a form; the picture goes to `receive` while it arrives, with backpressure, wherever among the fields it stands.
 * @param contentType the request's, with the boundary
 * @param imageField the name of the part that is the picture
 * @throws {DeblurError} `malformed_request` for what is no form, what `chunks` throws, and what `receive` throws;
 *   nothing is left stored
 */
export async function readForm<Image extends Received>(
  chunks: AsyncIterable<Uint8Array>,
  contentType: string,
  receive: (picture: AsyncIterable<Uint8Array>, part: FormPart) => Promise<Image>,
  imageField = 'image',
): Promise<Form<Image>> {
  const fields: [string, string][] = [];
  let image: Promise<Image> | undefined;
  let file: BusboyFileStream | undefined;
  const failed = Promise.withResolvers<never>();
  // Bytes of the form, and those of the picture that were taken from the parser.
  const read = { form: 0, picture: 0 };
  async function* counted(picture: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of picture) {
      read.picture += chunk.length;
      yield chunk;
    }
  }
  const assertShort = (chunk: Uint8Array): void => {
    // Of the chunks before this one, all of the picture has been taken but what the parser's stream may hold.
    if (read.form - read.picture > MULTIPART_FIELDS_MAX_BYTES + PARSER_BUFFER_MAX_BYTES) {
      throw formTooLong(MULTIPART_FIELDS_MAX_BYTES);
    }
    read.form += chunk.length;
  };
  const finished = Promise.withResolvers<undefined>();
  const parser = openParser(contentType, imageField);
  // A part without a name is none of a form (RFC 7578 § 4.2), although the parser's types promise one.
  const onFile = (field: string | undefined, stream: BusboyFileStream, name: string | undefined): void => {
    if (field !== imageField) {
      stream.resume();
      throw field === undefined ? fieldWithoutName() : fileInWrongField(field, imageField);
    }
    file = stream;
    image = receive(counted(stream), { name });
    image.catch(failed.reject);
  };
  const onField = (name: string | undefined, value: string, _nameTruncated: boolean, valueTruncated: boolean): void => {
    if (name === undefined) throw fieldWithoutName();
    if (valueTruncated) throw fieldTooLong(name, LIMITS.fieldSize);
    fields.push([name, value]);
  };
  parser.on('file', guarded(onFile, failed.reject));
  parser.on('field', guarded(onField, failed.reject));
  parser.on('filesLimit', () => failed.reject(severalFiles()));
  parser.on('fieldsLimit', () => failed.reject(tooManyFields(LIMITS.fields)));
  parser.on('error', (cause) => failed.reject(formBroken(cause)));
  parser.on('finish', () => finished.resolve(undefined));
  const pumped = pump(chunks, parser, failed.promise, assertShort);
  try {
    await Promise.race([failed.promise, Promise.all([pumped, finished.promise])]);
    return { image: image && (await image), fields };
  } catch (error) {
    // Whoever receives the picture waits for its end: it is told that there is none, and cleans up before we answer. The
    // body is let run out for a moment, see drain in body.ts; one that stands still is not waited for.
    file?.destroy(bodyBrokeOff(error));
    const drained = withTimeout(pumped, 2 * REFUSED_BODY_DRAIN_MS, () => new Error('late'));
    const [received] = await Promise.allSettled([image, drained]);
    if (received.status === 'fulfilled') await received.value?.discard();
    throw error;
  }
}

function openParser(contentType: string, imageField: string): BusboyInstance {
  try {
    // The picture is found by its name, whether or not it has a file name. Clients write fields as files of text or JSON, too.
    const isPartAFile = (name: string | undefined, type: string | undefined, fileName: string | undefined): boolean =>
      name === imageField || (fileName !== undefined && !/^(?:text\/|application\/json)/i.test(type ?? 'text/plain'));
    return new Busboy({ headers: { 'content-type': contentType }, limits: LIMITS, isPartAFile });
  } catch (cause) {
    throw formWithoutBoundary(cause);
  }
}

/**
 * A listener whose exception goes to `fail`: the parser calls it from within streams, where it would reach nobody and the
 * form would never come to its end.
 */
function guarded<Arguments extends readonly unknown[]>(
  listener: (...args: Arguments) => void,
  fail: (error: unknown) => void,
): (...args: Arguments) => void {
  return (...args) => {
    try {
      listener(...args);
    } catch (error) {
      fail(error);
    }
  };
}

/** Feeds the parser no faster than it takes, and stops when the form has failed. */
async function pump(
  chunks: AsyncIterable<Uint8Array>,
  parser: BusboyInstance,
  failed: Promise<never>,
  judge: (chunk: Uint8Array) => void,
): Promise<void> {
  for await (const chunk of chunks) {
    judge(chunk);
    const written = new Promise<void>((resolve) => void parser.write(chunk, () => resolve()));
    await Promise.race([written, failed]);
  }
  parser.end();
}

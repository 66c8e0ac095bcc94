/** multipart/form-data (RFC 7578): this runner's only use of the form parser. */
import { Busboy, type BusboyInstance } from '@fastify/busboy';
import { JSON_BODY_MAX_BYTES } from '@deblur/shared/limits.ts';
import { concat } from '@deblur/shared/metadata/bytes.ts';

export interface Form {
  /** In their order. A file is bytes. */
  readonly parts: readonly (readonly [name: string, value: string | Uint8Array])[];
}

/** What was sent is no form, or not one of ours. */
export class FormError extends Error {
  override readonly name = 'FormError';
}

const LIMITS = { parts: 32, fieldSize: JSON_BODY_MAX_BYTES };

/**
 * Reads a form as it arrives: one of 25 MB that is parsed in one go holds the main thread for 60 ms. It is read to its end
 * even when it is refused, so that the answer meets a client that listens.
 * @param body bounded by who hands it over
 * @throws {FormError}; what `body` throws
 */
export async function readForm(body: AsyncIterable<Uint8Array>, contentType: string): Promise<Form> {
  const parser = openParser(contentType);
  const parts: [name: string, value: string | Uint8Array[]][] = [];
  let fault: string | undefined;
  // A part is no field of a form without a name (RFC 7578 § 4.2), but the parser's types promise one.
  parser.on('file', (name: string | undefined, file) => {
    const chunks: Uint8Array[] = [];
    parts.push([name ?? '', chunks]);
    file.on('data', (chunk: Uint8Array) => chunks.push(chunk));
    // The parser says the same of itself.
    file.on('error', () => undefined);
  });
  parser.on('field', (name: string | undefined, value, _, truncated) => {
    if (truncated) fault ??= 'has a field that is too long';
    parts.push([name ?? '', value]);
  });
  parser.on('partsLimit', () => (fault ??= 'has too many parts'));
  const ended = new Promise<void>((resolve) => {
    parser.on('finish', resolve);
    parser.on('error', () => {
      fault ??= 'is not a form, or was cut off';
      resolve();
    });
  });
  for await (const chunk of body) if (fault === undefined) parser.write(chunk);
  parser.end();
  await ended;
  if (parts.some(([name]) => name === '')) fault ??= 'has a part without a name';
  if (fault !== undefined) throw new FormError(fault);
  return { parts: parts.map(([name, value]) => [name, typeof value === 'string' ? value : concat(value)]) };
}

function openParser(contentType: string): BusboyInstance {
  try {
    return new Busboy({ headers: { 'content-type': contentType }, limits: LIMITS });
  } catch {
    throw new FormError('has no boundary');
  }
}

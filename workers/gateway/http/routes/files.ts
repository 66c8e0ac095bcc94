/** `/v1/files`: pictures uploaded once and named by predictions, in Replicate's form. */
import {
  fieldMissing,
  formNeeded,
  notAJsonObject,
  notFound,
  optionTooLong,
  unknownOption,
} from '@deblur/shared/protocol/errors.ts';
import {
  ASYNC_UPLOAD_MAX_BYTES,
  FILE_METADATA_MAX_CHARACTERS,
  FILE_NAME_MAX_CHARACTERS,
  MULTIPART_FIELDS_MAX_BYTES,
} from '@deblur/shared/limits.ts';
import { optionError } from '@deblur/shared/protocol/options.ts';
import type { Handler } from 'hono';
import { z } from 'zod';
import type { FileRecord, Files } from '../../tenants/access-ports.ts';
import type { ReceivedSource, SourceStore } from '../../sources/source-store.ts';
import { assertContentLength, bodyChunks, limitBytes } from '../body/body.ts';
import { addToLog, type AppEnv } from '../context.ts';
import { readForm } from '../body/form.ts';
import type { fileListSchema, fileSchema } from '../api-schemas.ts';

export interface FilePorts {
  readonly files: Files;
  readonly sources: Pick<SourceStore, 'receive'>;
}

/** `POST /v1/files`: a form with the part `content`, and perhaps `filename`, `type` (which the bytes decide) and `metadata`. */
export function postFile({ files, sources }: FilePorts): Handler<AppEnv> {
  return async (c) => {
    const { source, name, metadata } = await readFile(c.req.raw, sources);
    addToLog(c, { bytes: source.bytes, source_format: source.header.format });
    try {
      const file = await files.create(c.get('tenant').id, source, { name, metadata });
      return c.json(present(file, c.get('origin')), 201, { Location: `/v1/files/${file.id}` });
    } finally {
      await source.discard();
    }
  };
}

export function getFile({ files }: FilePorts): Handler<AppEnv, '/v1/files/:id'> {
  return async (c) => {
    const file = await files.get(c.get('tenant').id, c.req.param('id'));
    if (file === null) throw notFound('file');
    return c.json(present(file, c.get('origin')));
  };
}

export function deleteFile({ files }: FilePorts): Handler<AppEnv, '/v1/files/:id'> {
  return async (c) => {
    if (!(await files.delete(c.get('tenant').id, c.req.param('id')))) throw notFound('file');
    return c.body(null, 204);
  };
}

export const fileListQuerySchema = z.strictObject({
  cursor: z
    .string()
    .regex(/^\d{1,15}$/, 'is not valid; use `next` of another page')
    .describe('Of another page: `next` has it.')
    .optional(),
});

/** `GET /v1/files`: newest first, in pages. */
export function listFiles({ files }: FilePorts): Handler<AppEnv> {
  return async (c) => {
    const query = fileListQuerySchema.safeParse(c.req.query());
    if (!query.success) throw optionError(query.error);
    const { cursor } = query.data;
    const page = await files.list(c.get('tenant').id, cursor === undefined ? null : Number(cursor));
    const next = page.next === null ? null : new URL(`/v1/files?cursor=${page.next}`, c.get('origin')).href;
    const results = page.files.map((file) => present(file, c.get('origin')));
    return c.json({ previous: null, next, results } satisfies z.infer<typeof fileListSchema>);
  };
}

interface NewFile {
  readonly source: ReceivedSource;
  readonly name: string;
  readonly metadata: Record<string, unknown>;
}

/** @throws {DeblurError} whatever is wrong with the form or the picture; nothing is left stored */
async function readFile(request: Request, sources: Pick<SourceStore, 'receive'>): Promise<NewFile> {
  const contentType = request.headers.get('content-type') ?? '';
  if (!/^multipart\/form-data\b/i.test(contentType)) {
    throw formNeeded('content');
  }
  const maxBytes = ASYNC_UPLOAD_MAX_BYTES + MULTIPART_FIELDS_MAX_BYTES;
  assertContentLength(request.headers.get('content-length') ?? undefined, maxBytes);
  const { image, fields } = await readForm(
    bodyChunks(request.body, maxBytes),
    contentType,
    async (picture, { name }) => {
      const source = await sources.receive(limitBytes(picture, ASYNC_UPLOAD_MAX_BYTES));
      return { source, name, discard: () => source.discard() };
    },
    'content',
  );
  if (image === undefined) throw fieldMissing('content');
  const { source, name } = image;
  try {
    return { source, ...aboutFile(new Map(fields), name) };
  } catch (error) {
    await source.discard();
    throw error;
  }
}

const FIELDS = ['filename', 'metadata', 'type'];

function aboutFile(fields: ReadonlyMap<string, string>, partName: string | undefined): Omit<NewFile, 'source'> {
  const unknown = [...fields.keys()].find((field) => !FIELDS.includes(field));
  if (unknown !== undefined) throw unknownOption(unknown);
  const name = (fields.get('filename') ?? partName ?? '')
    // Without control characters: a name is shown, and put into headers by others.
    .replace(/\p{Cc}/gu, '')
    .slice(0, FILE_NAME_MAX_CHARACTERS);
  return { name: name === '' ? 'file' : name, metadata: metadataOf(fields.get('metadata') ?? '{}') };
}

function metadataOf(text: string): Record<string, unknown> {
  if (text.length > FILE_METADATA_MAX_CHARACTERS) {
    throw optionTooLong('metadata', FILE_METADATA_MAX_CHARACTERS);
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // Refused below.
  }
  throw notAJsonObject('metadata');
}

function present(file: FileRecord, origin: string): z.infer<typeof fileSchema> {
  const { id, name, format, bytes, sha256, metadata, createdAt, expiresAt } = file;
  return {
    id,
    name,
    content_type: `image/${format}`,
    size: bytes,
    etag: sha256,
    checksums: { sha256 },
    metadata: { ...metadata },
    created_at: new Date(createdAt).toISOString(),
    expires_at: new Date(expiresAt).toISOString(),
    urls: { get: new URL(`/v1/files/${id}`, origin).href },
  };
}

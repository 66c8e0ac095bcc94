/**
 * What a caller may ask for, in canonical form: one schema validates query, form fields and JSON keys alike.
 */
import { z } from 'zod';
import { SCALES } from '../pixels/working-scale.ts';
import { invalidOptions, unknownOptions, type DeblurError } from './errors.ts';
import { DEFAULT_QUALITY, MAX_TILE_PIXELS, MIN_TILE_PIXELS, TILE_STEP_PIXELS } from '../limits.ts';

/** Which models there are, the catalogue of the gateway or the runner says; a name is free otherwise. */
export const modelNameSchema = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/, 'must be 1 to 64 small letters, digits and hyphens');

export type ModelName = string;

/** Formats that results are written in. */
export const OUTPUT_FORMATS = ['jpeg', 'png', 'webp', 'avif'] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

export const METADATA_MODES = ['keep', 'strip'] as const;
export type MetadataMode = (typeof METADATA_MODES)[number];

const NOT_WHOLE = 'must be a whole number';

const fromDigits = (value: unknown): unknown =>
  typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;

/** Query and form values arrive as text; JSON may carry a number. */
const wholeNumber = (range: (integer: z.ZodInt) => z.ZodInt) =>
  z.preprocess(fromDigits, range(z.int({ error: ({ code }) => (code === 'invalid_type' ? NOT_WHOLE : undefined) })));

/** `jpg` and capitals, as file names have them. */
const formatNamed = (value: unknown): unknown => {
  const name = typeof value === 'string' ? value.toLowerCase() : value;
  return name === 'jpg' ? 'jpeg' : name;
};

/** `auto`, or a number as a number or as text: the picture is restored at 1/n of its size. */
export const workingScaleSchema = z.union([z.literal('auto'), z.preprocess(fromDigits, z.literal(SCALES))], {
  error: 'must be auto, 1, 2, 3 or 4',
});

export type WorkingScale = z.output<typeof workingScaleSchema>;

export const optionsSchema = z.strictObject({
  model: modelNameSchema
    .describe(
      '`auto` takes the model that suits the size of the picture, as the operator says; `best` takes the best trained one. A model without trained weights is refused by name.',
    )
    .default('auto'),
  format: z
    .preprocess(formatNamed, z.enum(['auto', ...OUTPUT_FORMATS]))
    .describe('`auto` is what `Accept` prefers, else the format of the source.')
    .default('auto'),
  quality: wholeNumber((integer) => integer.min(1).max(100))
    .describe('Of JPEG, WebP and AVIF.')
    .default(DEFAULT_QUALITY),
  metadata: z.enum(METADATA_MODES).describe('EXIF, XMP and ICC profile stay, or EXIF and XMP go.').default('keep'),
  working_scale: workingScaleSchema
    .describe('Restored at 1/n of its size, the change enlarged; `auto` finds n from the width of the blur.')
    .default('auto'),
  tile: wholeNumber((integer) => integer.min(MIN_TILE_PIXELS).max(MAX_TILE_PIXELS).multipleOf(TILE_STEP_PIXELS))
    .describe('Side of the tiles in pixels, on the runner only.')
    .optional(),
  placement: z
    .enum(['runner'])
    .describe('Where the picture is restored, instead of where its size and format would have it.')
    .optional(),
});

export type Options = z.infer<typeof optionsSchema>;

const MAX_FIELDS_SHOWN = 16;
const MAX_FIELD_LENGTH = 64;

/**
 * Validates options; `unknown_option` and `invalid_option` name every field at fault.
 * @param raw what the caller wrote, as text or JSON values
 */
export function parseOptions(raw: Readonly<Record<string, unknown>>): Options {
  const parsed = optionsSchema.safeParse(raw);
  if (parsed.success) return parsed.data;
  throw optionError(parsed.error);
}

/** What a schema found wrong with a request's fields: `unknown_option` or `invalid_option`, naming every field at fault. */
export function optionError({ issues }: z.ZodError): DeblurError {
  const fields = issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({ field: [...issue.path, key].join('.'), message: 'is not an option' }))
      : [{ field: issue.path.join('.'), message: issue.message }],
  );
  // Keys are the caller's: neither their length nor their number goes into an answer unbounded.
  const shown = fields.slice(0, MAX_FIELDS_SHOWN).map(({ field, message }) => ({
    field: field.length > MAX_FIELD_LENGTH ? `${field.slice(0, MAX_FIELD_LENGTH)}…` : field,
    message,
  }));
  const unknown = issues.some((issue) => issue.code === 'unrecognized_keys');
  return unknown ? unknownOptions(shown) : invalidOptions(shown);
}

export { invalidOption } from './errors.ts';

/** How pixels become bytes; with a RestorationKey it names a result. */
export interface EncodeOptions {
  readonly format: OutputFormat;
  readonly quality: number;
  readonly metadata: MetadataMode;
}

export const MEDIA_TYPES: Readonly<Record<OutputFormat, string>> = {
  jpeg: 'image/jpeg',
  png: 'image/png',
  webp: 'image/webp',
  avif: 'image/avif',
};

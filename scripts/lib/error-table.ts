/** The table of public errors in docs/api.md, made from the constructors. */
import * as prettier from 'prettier';
import * as errors from '@deblur/shared/protocol/errors.ts';

type Module = typeof errors;

/** Exports that make an error from a text of another process, or make none. */
type Other = 'fromWireError' | 'hiddenCause' | 'isErrorCode' | 'isTemporary' | 'toWireError' | 'DeblurError' | 'ERRORS';

type Constructors = Omit<Module, Other>;

type Arguments<Name extends keyof Constructors> = Constructors[Name] extends (...args: infer List) => unknown
  ? List
  : never;

/** Arguments of every constructor, several where the text depends on them. A constructor without a row does not compile. */
const SAMPLES: { readonly [Name in keyof Constructors]: readonly Arguments<Name>[] } = {
  bodyBrokeOff: [[]],
  bodyNotAJsonObject: [[]],
  bodyNotJson: [[]],
  bodyNotUtf8: [[]],
  bodyTimedOut: [[120]],
  bodyTooLarge: [[25_000_000]],
  budgetSpent: [[{ price: 12, remaining: 0.5, retryAfterSeconds: 690, limit: 'this address' }]],
  callbackMalformed: [[]],
  contentTypeMustBe: [['image/png']],
  dataUriNotBase64: [['image']],
  deadlineExceeded: [[], [600]],
  emptyBody: [[]],
  encoderRefused: [['webp']],
  encodingHasNoMaster: [['master_upload_url']],
  emptyPicture: [[]],
  fieldMissing: [['image']],
  fieldTooLong: [['quality', 1024]],
  fieldWithoutName: [[]],
  fileInWrongField: [['file', 'image']],
  formBroken: [[]],
  formNeeded: [['content']],
  formTooLong: [[65_536]],
  formWithoutBoundary: [[]],
  formatCannotHold: [['webp', 16_383]],
  formatNotWritten: [['avif', 'at the edge']],
  gaveUp: [[4, 'The runner failed in an unexpected way. Try again.']],
  gone: [['delivery'], ['image link'], ['result']],
  hostNotLocal: [['rebound.example']],
  heicNotDecoded: [[]],
  hostNotAllowed: [['pictures.example']],
  idempotencyKeyInFlight: [[1]],
  idempotencyKeyReused: [[]],
  imageLinkNotSigned: [[]],
  internalError: [[]],
  internalUrlRefused: [[]],
  internalUrlTakesNoParts: [[]],
  invalidCursor: [[]],
  invalidOption: [['quality', 'must be a whole number']],
  invalidOptions: [],
  invalidPredictionId: [[]],
  jsonTooDeep: [[8]],
  jsonTooManyKeys: [[64]],
  keyInvalid: [[]],
  keyNeeded: [[]],
  keyNeededForWebhooks: [[]],
  kindNotSupported: [['GIF pictures']],
  kindNotSupportedBut: [['Camera raw files', 'Develop the picture and send it as JPEG, PNG or TIFF.']],
  lengthRequired: [[]],
  methodNotAllowed: [['PATCH', ['GET', 'HEAD']]],
  modelUntrained: [
    ['dhnet', ['dhnet-edge', 'dhnet-b']],
    ['dhnet', []],
  ],
  mustBeInTheFuture: [['expires_at']],
  mustRepeatTheUrl: [['id']],
  nameNotPublic: [[]],
  namesNoSource: [
    ['image', 'file'],
    ['image', 'result'],
  ],
  notAcceptable: [[['image/jpeg', 'image/png', 'image/webp', 'image/avif']]],
  notADuration: [['Cancel-After']],
  notAJsonObject: [['metadata']],
  notAPicture: [[]],
  notASourceName: [['image']],
  notAUrl: [['photo.jpg']],
  notAVersion: [['version']],
  notBase64url: [[]],
  notFound: [
    ['delivery'],
    ['file'],
    ['key'],
    ['model'],
    ['path'],
    ['prediction'],
    ['result'],
    ['source'],
    ['stream'],
    ['upload'],
  ],
  operatorOnly: [['metrics']],
  optionContradicts: [['model', 'dhnet-edge', 'dhnet-b']],
  optionGivenTwice: [['quality']],
  optionOutOfRange: [['Cancel-After', '5 s', '43200 s']],
  optionTooLong: [['image', 4096]],
  optionWithoutValue: [['quality']],
  originNotListed: [['https://page.example']],
  ownTenantOnly: [[]],
  ownUrlNotAllowed: [[]],
  pictureAltered: [[errors.notAPicture()]],
  pictureAnimated: [['WebP']],
  pictureFaulty: [['A WebP chunk is longer than its file.']],
  pictureTruncated: [['JPEG']],
  pictureUndecodable: [['JPEG', 'it has no frame before its data']],
  predictionIdReused: [[]],
  quotaExceeded: [
    ['file', 10_000, 5],
    ['key', 100],
  ],
  rangeNotSatisfiable: [[48_000]],
  runnerAnswered: [[500]],
  runnerBusy: [[]],
  runnerDoesNotKnow: [],
  runnerFailed: [
    ['answer'],
    ['broken'],
    ['encoder'],
    ['master'],
    ['network'],
    ['numbers'],
    ['overtaken'],
    ['refused'],
    ['result'],
    ['source'],
    ['tile'],
    ['tile_type'],
    ['upload'],
    ['worker'],
    ['encoder_time'],
    ['picture'],
  ],
  runnerHasOtherVersion: [[]],
  runnerCannotRun: [['dhnet-b', 'its sessions need 900 MB of memory, and 500 MB are free']],
  runnerLacksModel: [['dhnet-b']],
  runnerLacksVersion: [['dhnet-b']],
  runnerNotReady: [[]],
  runnerRefusedInput: [],
  runnerStopped: [[]],
  runnerUnreachable: [[]],
  scopeMissing: [['delete']],
  serviceUnavailable: [["tenant's record", 5]],
  sessionFailed: [['no execution provider is installed']],
  severalFiles: [[]],
  sourceHostFailed: [[503, 5]],
  sourceKeepsChanging: [[]],
  sourceNotFound: [[404]],
  sourceRedirectsNowhere: [['http://']],
  sourceRedirectsTooOften: [[5]],
  sourceTimedOut: [[60, 5]],
  sourceTooLarge: [[100_000_000]],
  sourceUnreachable: [[5]],
  tenantReserved: [['operator']],
  tooSlowForDeadline: [['dhnet-b', 900, 60]],
  uploadFailed: [['its receiver did not answer in time']],
  tileRefused: [['dhnet-b', 128]],
  tooManyFields: [[32]],
  tooManyPixels: [[{ width: 10_000, height: 10_000, maxPixels: 50_000_000, maxSide: 65_500 }]],
  tooManyRequests: [[300, 60, 'this address']],
  unknownOption: [['colour']],
  unknownOptions: [],
  uploadMalformed: [['digest'], ['end'], ['part_number'], ['parts'], ['upload_id']],
  urlHasAddress: [['127.0.0.1']],
  urlHasCredentials: [[]],
  urlIsInternal: [['metadata.internal']],
  urlNotHttps: [['ftp:']],
  urlTooLong: [[2048]],
  versionOfAnother: [['version', 'dhnet-b']],
  versionUnavailable: [[]],
  waitExpired: [[]],
};

const START = '<!-- The table below is made by `npm run docs`. -->';
const END = '<!-- The end of the table. -->';

/** @returns the document with the table of today between its two marks */
export async function withErrorTable(document: string): Promise<string> {
  const from = document.indexOf(START);
  const to = document.indexOf(END);
  if (from < 0 || to < from) throw new Error(`the document has no "${START}" and "${END}"`);
  const text = `${document.slice(0, from)}${START}\n\n${table()}\n\n${document.slice(to)}`;
  return prettier.format(text, { parser: 'markdown', ...(await prettier.resolveConfig('docs/api.md')) });
}

function table(): string {
  const made = Object.entries(SAMPLES).flatMap(([name, samples]) => {
    const construct = errors[name as keyof Constructors] as (...args: readonly unknown[]) => errors.DeblurError;
    return samples.map((args) => construct(...args));
  });
  const rows = Object.entries(errors.ERRORS).flatMap(([code, { status, retryable }]) =>
    made
      .filter((error) => error.code === code)
      .map(
        ({ detail }) => `| \`${code}\` | ${status} | ${retryable ? 'yes' : 'no'} | ${detail.replaceAll('|', '\\|')} |`,
      ),
  );
  return ['| code | status | retry | text |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

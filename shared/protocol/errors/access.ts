/** Errors of keys, scopes, limits and addresses. */
import { DeblurError } from './error.ts';
import { count, shown } from './texts.ts';

// ---- Keys --------------------------------------------------------------------------------------

export const keyNeeded = (): DeblurError =>
  new DeblurError('unauthorized', 'This request needs an API key. Send it as Authorization: Bearer {key}.');

export const keyInvalid = (): DeblurError =>
  new DeblurError('unauthorized', 'The API key is unknown, revoked or expired. Check the Authorization header.');

export const keyNeededForWebhooks = (): DeblurError =>
  new DeblurError('unauthorized', 'Webhooks need an API key. Send one, or poll the prediction instead.');

export const scopeMissing = (scope: string): DeblurError =>
  new DeblurError('forbidden', `The API key lacks the scope "${scope}". Use a key that has it.`);

export const operatorOnly = (resource: string): DeblurError =>
  new DeblurError(
    'forbidden',
    `Only the operator's token may read ${resource}. Send it as Authorization: Bearer {token}.`,
  );

export const ownTenantOnly = (): DeblurError =>
  new DeblurError('forbidden', 'This API key administers the keys of its own tenant only. Leave out "tenant".');

export const tenantReserved = (tenant: string): DeblurError =>
  new DeblurError('forbidden', `The tenant "${shown(tenant)}" is the service's own. Choose another name.`);

export const internalUrlRefused = (): DeblurError =>
  new DeblurError('forbidden', 'The internal URL is not valid, serves another purpose, or has expired.');

export const internalUrlTakesNoParts = (): DeblurError =>
  new DeblurError('forbidden', 'The internal URL takes one PUT and no parts. Upload the file whole.');

export const imageLinkNotSigned = (): DeblurError =>
  new DeblurError(
    'forbidden',
    'The image link is not signed by a key that is valid here. Sign its path again with a current key.',
  );

export const hostNotLocal = (host: string): DeblurError =>
  new DeblurError(
    'forbidden',
    `A local run does not answer under the name "${shown(host)}". Use localhost, or set PUBLIC_URL to its origin.`,
  );

export const originNotListed = (origin: string): DeblurError =>
  new DeblurError(
    'forbidden',
    `Pages of ${shown(origin)} may not change anything in a local run. Add this origin to CORS_ORIGINS.`,
  );

// ---- Limits ------------------------------------------------------------------------------------

/** @param limit whose requests were counted: `this address` */
export const tooManyRequests = (max: number, windowSeconds: number, limit: string): DeblurError =>
  new DeblurError(
    'rate_limited',
    `There were more than ${count(max, 'request')} in ${count(windowSeconds, 'second')} by ${limit}. Try again later.`,
    { retryAfterSeconds: windowSeconds },
  );

export interface UnpaidPrice {
  /** Megapixels. */
  readonly price: number;
  /** Megapixels that are left. */
  readonly remaining: number;
  readonly retryAfterSeconds: number;
  /** Whose budget it is: `this address`, `all anonymous work`. */
  readonly limit: string;
}

export const budgetSpent = ({ price, remaining, retryAfterSeconds, limit }: UnpaidPrice): DeblurError =>
  new DeblurError(
    'rate_limited',
    `This request costs ${price.toFixed(1)} megapixels and ${remaining.toFixed(1)} are left of the hourly budget of ` +
      `${limit}. Try again in ${count(retryAfterSeconds, 'second')}.`,
    { retryAfterSeconds },
  );

/** @param retryAfterSeconds when some of them expire by themselves */
export const quotaExceeded = (noun: 'file' | 'key', max: number, retryAfterSeconds?: number): DeblurError =>
  new DeblurError(
    'quota_exceeded',
    `There are ${count(max, noun)} already, the most that one tenant may have. Delete some first.`,
    { retryAfterSeconds },
  );

// ---- Addresses that a user names ---------------------------------------------------------------

export const notAUrl = (text: string): DeblurError =>
  new DeblurError('malformed_request', `"${shown(text)}" is not a URL. Give an absolute https URL.`);

export const notBase64url = (): DeblurError =>
  new DeblurError(
    'malformed_request',
    'The source of the image link is not the unpadded base64url of a URL. Encode it so.',
  );

export const urlTooLong = (maxCharacters: number): DeblurError =>
  new DeblurError(
    'malformed_request',
    `The URL has more than ${count(maxCharacters, 'character')}. Give a shorter one.`,
  );

export const urlHasCredentials = (): DeblurError =>
  new DeblurError('forbidden', 'The URL carries a user name or a password. Give one without.');

export const urlNotHttps = (protocol: string): DeblurError =>
  new DeblurError(
    'forbidden',
    `The URL begins with ${shown(protocol)}//, and only https is called. Give an https URL.`,
  );

export const urlHasAddress = (host: string): DeblurError =>
  new DeblurError('forbidden', `The URL has the IP address ${shown(host)} in place of a name. Give a public name.`);

export const urlIsInternal = (host: string): DeblurError =>
  new DeblurError('forbidden', `The URL leads to the internal name "${shown(host)}". Give a public name.`);

export const nameNotPublic = (): DeblurError =>
  new DeblurError('forbidden', 'The name in the URL leads to an address that is not public. Give a public name.');

export const hostNotAllowed = (host: string): DeblurError =>
  new DeblurError('forbidden', `Pictures of "${shown(host)}" are not taken here. Ask the operator to allow this host.`);

export const ownUrlNotAllowed = (): DeblurError =>
  new DeblurError(
    'forbidden',
    'The URL is of this service, which takes only its own files and results. Name one of them.',
  );

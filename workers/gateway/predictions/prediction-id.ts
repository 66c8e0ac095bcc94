/** Names of predictions, and of the streams that show them. */

/** RFC 4648 § 6, lower-case. */
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';

const CHARACTERS = 26;

/** 130 random bits. */
function randomName(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(CHARACTERS));
  return Array.from(bytes, (byte) => ALPHABET[byte & 31]).join('');
}

export const newPredictionId = randomName;

export const newStreamSecret = randomName;

/**
 * The name of a prediction's object. The tenant is part of it: another tenant's id leads to another object, which is
 * empty, so no check can be forgotten and two tenants may choose the same id.
 */
export const predictionName = (tenantId: string, id: string): string => `${tenantId}/${id}`;

/** The last segment of `urls.stream`: whose prediction, which, and a secret that nobody guesses. */
export const streamToken = (tenantId: string, id: string, secret: string): string => `${tenantId}.${id}.${secret}`;

export const STREAM_TOKEN = /^([a-z0-9-]{1,64})\.([a-z0-9]{26})\.[a-z2-7]{26}$/;

/** Whose stream a token claims to be; null for what is none of ours. */
export function readStreamToken(token: string): { readonly tenantId: string; readonly id: string } | null {
  const [, tenantId, id] = STREAM_TOKEN.exec(token) ?? [];
  return tenantId === undefined || id === undefined ? null : { tenantId, id };
}

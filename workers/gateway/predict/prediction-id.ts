/** Names of predictions. */

/** RFC 4648 § 6, lower-case. */
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';

const CHARACTERS = 26;

/** 130 random bits. */
export function newPredictionId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(CHARACTERS));
  return Array.from(bytes, (byte) => ALPHABET[byte & 31]).join('');
}

/**
 * The name of a prediction's object. The tenant is part of it: another tenant's id leads to another object, which is
 * empty, so no check can be forgotten and two tenants may choose the same id.
 */
export const predictionName = (tenantId: string, id: string): string => `${tenantId}/${id}`;

/** What a user wrote goes into an answer bounded. */
const SHOWN_CHARACTERS = 64;

export const shown = (text: string): string =>
  text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;

/** `1 file`, `2 files`, `25,000,000 bytes`. */
export const count = (number: number, noun: string): string =>
  `${number.toLocaleString('en-US')} ${noun}${number === 1 ? '' : 's'}`;

/** `JPEG, PNG or WebP` */
export function either(names: readonly string[], conjunction = 'or'): string {
  const [last = '', ...others] = names.toReversed();
  return others.length === 0 ? last : `${others.toReversed().join(', ')} ${conjunction} ${last}`;
}

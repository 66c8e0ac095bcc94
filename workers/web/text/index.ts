/** The texts in the first language of the browser that there is a file for; English otherwise. */
import { de } from './de.ts';
import { en, type Text } from './en.ts';

const LANGUAGES: Readonly<Record<string, Text>> = { de, en };

export function chooseText(languages: readonly string[]): Text {
  for (const tag of languages) {
    const text = LANGUAGES[tag.toLowerCase().split('-')[0] ?? ''];
    if (text !== undefined) return text;
  }
  return en;
}

export const text: Text = chooseText(navigator.languages);
export type { Text };

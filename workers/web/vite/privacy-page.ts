/** Lets an operator put a page of his own in place of privacy.html. */
import { readFileSync } from 'node:fs';
import type { Plugin } from 'vite';

/** @param file an HTML document; without one the shipped page stays. @throws when the file cannot be read */
export function privacyPage(file: string | undefined): Plugin {
  return {
    name: 'deblur:privacy-page',
    transformIndexHtml: {
      order: 'pre',
      handler: (html, { path }) => (file && path.endsWith('/privacy.html') ? readFileSync(file, 'utf8') : html),
    },
  };
}

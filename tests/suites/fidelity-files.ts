/// <reference types="vite/client" />
/** The suite's input files as bytes, in every runtime that Vitest has: Vite writes them into the module as data URIs. */

const uris: Readonly<Record<string, string>> = import.meta.glob(['../fixtures/fidelity/*', '../fixtures/reported/*'], {
  query: '?url&inline',
  import: 'default',
  eager: true,
});

/** @param name a file of tests/fixtures/fidelity/, or of tests/fixtures/reported/ */
export function fidelityFile(name: string): Uint8Array {
  const uri = uris[`../fixtures/fidelity/${name}`] ?? uris[`../fixtures/reported/${name}`];
  if (uri === undefined) throw new Error(`no fixture ${name}: run tests/suites/make-fidelity-fixtures.ts`);
  return Uint8Array.from(atob(uri.slice(uri.indexOf(',') + 1)), (character) => character.charCodeAt(0));
}

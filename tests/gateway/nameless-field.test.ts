/** A part of a form that says no name: Content-Disposition without one is well-formed, but no field (RFC 7578 § 4.2). */
import { describe, expect, it } from 'vitest';
import { call, problem, problemOf, stored } from './support/gateway.ts';
import { concat, png } from './support/pictures.ts';

const CONTENT_TYPE = 'multipart/form-data; boundary=b';
const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

const part = (disposition: string, content: Uint8Array | string): Uint8Array => {
  const head = ascii(`--b\r\nContent-Disposition: ${disposition}\r\n\r\n`);
  return concat(head, typeof content === 'string' ? ascii(content) : content, ascii('\r\n'));
};
const nameless = (content: string): Uint8Array => part('form-data', content);
const form = (...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> => concat(...parts, ascii('--b--\r\n'));

describe.each([
  ['/v1/deblur', 'image'],
  ['/v1/predictions', 'image'],
  ['/v1/files', 'content'],
])('a form without a field’s name at %s', (path, imageField) => {
  const picture = part(`form-data; name="${imageField}"; filename="a.png"`, png());

  it.each([
    ['a short one', form(picture, nameless('x'))],
    ['an empty one', form(picture, nameless(''))],
    ['two that differ', form(picture, nameless('x'), nameless('y'))],
    ['one that is too long', form(picture, nameless('x'.repeat(2000)))],
    ['one before the picture', form(nameless('x'.repeat(2000)), picture)],
    ['one with the name of a file', form(picture, part('form-data; filename="a.png"', 'x'))],
  ])('is refused: %s', async (_, body) => {
    const response = await call(path, { method: 'POST', headers: { 'content-type': CONTENT_TYPE }, body });
    expect(await problemOf(response.clone())).toEqual(problem(400, 'malformed_request'));
    expect(await response.json()).toMatchObject({ detail: 'A part of the form has no name. Give every part a name.' });
    expect(await stored('')).toEqual([]);
  });

  it('leaves nothing behind of a picture that was stored before it', async () => {
    const large = part(`form-data; name="${imageField}"; filename="a.png"`, png({ bytes: 5 * 1024 * 1024 }));
    const body = form(large, nameless('x'));
    const response = await call(path, { method: 'POST', headers: { 'content-type': CONTENT_TYPE }, body });
    expect(await problemOf(response)).toEqual(problem(400, 'malformed_request'));
    expect(await stored('')).toEqual([]);
  });
});

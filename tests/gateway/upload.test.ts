import { describe, expect, it } from 'vitest';
import { call, deblur, edge, gpu, madeHow, problem, problemOf, stored } from './support/gateway.ts';
import { animatedGif, concat, jpeg, png, streamOf, webp } from './support/pictures.ts';

const MIB = 1024 * 1024;

function form(entries: readonly (readonly [string, string | Blob])[]): FormData {
  const data = new FormData();
  for (const [name, value] of entries) {
    if (typeof value === 'string') data.append(name, value);
    else data.append(name, value, 'photo.bin');
  }
  return data;
}

const dataUri = (bytes: Uint8Array): string => `data:image/png;base64,${bytes.toBase64()}`;

function json(value: unknown, query = ''): Promise<Response> {
  return deblur(typeof value === 'string' ? value : JSON.stringify(value), query, {
    'content-type': 'application/json',
  });
}

describe('the forms of an upload', () => {
  it.each(['image/png', 'application/octet-stream', 'text/html', 'application/x-www-form-urlencoded', ''])(
    'takes raw bytes, declared as "%s": the bytes decide',
    async (type) => {
      const response = await deblur(png(), '', type === '' ? {} : { 'content-type': type });
      expect(await madeHow(response)).toBe('200 miss edge image/png');
    },
  );

  it('takes the same picture raw, in a form, and as JSON, for one inference', async () => {
    const picture = png();
    expect(await madeHow(await deblur(picture))).toBe('200 miss edge image/png');
    expect(await madeHow(await deblur(form([['image', new Blob([picture])]])))).toBe('200 hit edge image/png');
    expect(await madeHow(await json({ image: dataUri(picture) }))).toBe('200 hit edge image/png');
    expect(await edge.calls()).toEqual({ restore: 1, encode: 0 });
  });

  it('takes options from query, form fields before and after the picture, and JSON keys', async () => {
    const picture = new Blob([png()]);
    const before = form([
      ['format', 'webp'],
      ['quality', '50'],
      ['image', picture],
    ]);
    const after = form([
      ['image', picture],
      ['quality', '50'],
      ['format', 'webp'],
    ]);
    expect(await madeHow(await deblur(before))).toBe('200 miss edge image/webp');
    expect(await madeHow(await deblur(after))).toBe('200 hit edge image/webp');
    const body = { image: dataUri(new Uint8Array(await picture.arrayBuffer())), quality: 50 };
    expect(await madeHow(await json(body, '?format=webp'))).toBe('200 hit edge image/webp');
  });

  it('takes a picture in a form field without a file name', async () => {
    const picture = png();
    const head = '--b\r\nContent-Disposition: form-data; name="image"\r\n\r\n';
    const body = concat(new TextEncoder().encode(head), picture, new TextEncoder().encode('\r\n--b--\r\n'));
    const response = await deblur(body, '', { 'content-type': 'multipart/form-data; boundary=b' });
    expect(await madeHow(response)).toBe('200 miss edge image/png');
    expect(await madeHow(await deblur(picture))).toBe('200 hit edge image/png');
  });

  it('says a thing twice, but not two things', async () => {
    const body = { image: dataUri(png()), format: 'webp' };
    expect((await json(body, '?format=webp')).status).toBe(200);
    expect(await problemOf(await json(body, '?format=png'))).toEqual(problem(422, 'invalid_option'));
    expect(await problemOf(await deblur(png(), '?format=png&format=webp'))).toEqual(problem(422, 'invalid_option'));
  });

  it.each([
    ['the source’s without a preference', png(), '*/*', 'image/png'],
    ['the source’s for JPEG', jpeg(), 'image/*', 'image/jpeg'],
    ['what is accepted otherwise', png(), 'image/webp', 'image/webp'],
  ])('answers format=auto with %s', async (_, picture, accept, type) => {
    expect((await deblur(picture, '', { accept })).headers.get('content-type')).toBe(type);
  });
});

describe('bad input', () => {
  const truncated = jpeg({ segments: 1 }).slice(0, 2000);
  const bomb = png({ width: 30_000, height: 30_000 });
  const largeBomb = png({ width: 30_000, height: 30_000, bytes: 6 * MIB });

  it.each([
    ['an empty body', () => deblur(new Uint8Array(0)), 400, 'empty_body'],
    ['no body', () => deblur(null), 400, 'empty_body'],
    ['an empty picture in a form', () => deblur(form([['image', new Blob([])]])), 400, 'empty_body'],
    ['empty JSON', () => json(''), 400, 'empty_body'],
    ['an empty data URI', () => json({ image: 'data:image/png;base64,' }), 400, 'empty_body'],
    [
      'a text file called .png',
      () => deblur('not a picture', '', { 'content-type': 'image/png' }),
      415,
      'unsupported_media_type',
    ],
    ['a JPEG cut in its header', () => deblur(truncated), 422, 'image_truncated'],
    ['a PNG cut in its header', () => deblur(png().slice(0, 20)), 422, 'image_truncated'],
    ['a bomb of 30,000 × 30,000', () => deblur(bomb), 422, 'image_too_many_pixels'],
    ['a large bomb', () => deblur(largeBomb), 422, 'image_too_many_pixels'],
    ['an animated GIF', () => deblur(animatedGif()), 422, 'image_animated'],
    ['an animated WebP', () => deblur(webp({ animated: true })), 422, 'image_animated'],
    ['an unknown option', () => deblur(png(), '?sharpness=9'), 422, 'unknown_option'],
    [
      'an unknown form field',
      () =>
        deblur(
          form([
            ['image', new Blob([png()])],
            ['sharpness', '9'],
          ]),
        ),
      422,
      'unknown_option',
    ],
    [
      '__proto__ as an option',
      () => json(`{"image":"${dataUri(png())}","__proto__":{"model":"dhnet"}}`),
      422,
      'unknown_option',
    ],
    ['an invalid value', () => deblur(png(), '?quality=101'), 422, 'invalid_option'],
    ['an address that is not https', () => json({ image: 'http://example.com/a.png' }), 403, 'forbidden'],
    ['a data URI that is not base64', () => json({ image: 'data:image/png,%89PNG' }), 422, 'invalid_option'],
    ['broken base64', () => json({ image: 'data:image/png;base64,@@@' }), 422, 'invalid_option'],
    ['a picture that is a number', () => json({ image: 7 }), 422, 'invalid_option'],
    ['JSON without a picture', () => json({ format: 'png' }), 400, 'malformed_request'],
    ['broken JSON', () => json('{"image":'), 400, 'malformed_request'],
    ['a JSON list', () => json([]), 400, 'malformed_request'],
    [
      'JSON of 65 keys',
      () => json(Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, 1]))),
      400,
      'malformed_request',
    ],
    ['JSON of nine levels', () => json(`{"image":${'['.repeat(8)}${']'.repeat(8)}}`), 400, 'malformed_request'],
    ['long JSON without a picture', () => json({ image: 'x'.repeat(70_000) }), 413, 'body_too_large'],
    ['a picture in bare base64', () => json({ image: png({ bytes: 5000 }).toBase64() }), 422, 'invalid_option'],
    [
      'JSON that is not UTF-8',
      () => deblur(Uint8Array.of(0x7b, 0xff), '', { 'content-type': 'application/json' }),
      400,
      'malformed_request',
    ],
    ['a picture in another field', () => deblur(form([['file', new Blob([png()])]])), 400, 'malformed_request'],
    ['a form without a picture', () => deblur(form([['format', 'png']])), 400, 'malformed_request'],
    [
      'a form with two pictures',
      () =>
        deblur(
          form([
            ['image', new Blob([png()])],
            ['image', new Blob([png()])],
          ]),
        ),
      400,
      'malformed_request',
    ],
    [
      'a form without a boundary',
      () => deblur('x', '', { 'content-type': 'multipart/form-data' }),
      400,
      'malformed_request',
    ],
    [
      'a form that is none',
      () => deblur('x', '', { 'content-type': 'multipart/form-data; boundary=b' }),
      400,
      'malformed_request',
    ],
    [
      'a form with an endless field',
      () =>
        deblur(
          form([
            ['format', 'x'.repeat(9000)],
            ['image', new Blob([png()])],
          ]),
        ),
      400,
      'malformed_request',
    ],
    ['an unwanted format', () => deblur(png(), '', { accept: 'text/html' }), 406, 'not_acceptable'],
    ['a model without weights', () => deblur(png(), '?model=dhnet'), 422, 'model_unavailable'],
  ])('refuses %s', async (_, send, status, code) => {
    expect(await problemOf(await send())).toEqual(problem(status, code));
    expect(await edge.calls()).toEqual({ restore: 0, encode: 0 });
    expect(await stored('')).toEqual([]);
  });

  it('refuses a form that breaks off within the picture', async () => {
    const whole = new Response(form([['image', new Blob([png({ bytes: 5000 })])]]));
    const bytes = new Uint8Array(await whole.clone().arrayBuffer());
    const type = whole.headers.get('content-type') ?? '';
    const response = await deblur(bytes.slice(0, 3000), '', { 'content-type': type });
    expect(await problemOf(response)).toEqual(problem(400, 'malformed_request'));
  });

  it('names every field at fault', async () => {
    const body = await (await deblur(png(), '?sharpness=9&quality=0')).json<Record<string, unknown>>();
    expect(body.errors).toEqual(
      expect.arrayContaining([
        { field: 'sharpness', message: 'is not an option' },
        { field: 'quality', message: expect.any(String) },
      ]),
    );
  });
});

describe('what callers write', () => {
  const detailOf = async (response: Response): Promise<string> => (await response.json<{ detail: string }>()).detail;

  it.each([
    ['percent-encoded', (base64: string) => encodeURIComponent(base64)],
    [
      'in the alphabet of URLs',
      (base64: string) => base64.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', ''),
    ],
    ['with + as a blank', (base64: string) => base64.replaceAll('+', ' ')],
  ])('a data: URI is understood %s, and with blanks around it', async (_, written) => {
    const base64 = png({ bytes: 400 }).toBase64();
    const response = await json({ image: ` data:image/png;base64,${written(base64)}\n` });
    expect(await madeHow(response)).toMatch(/^200 /);
  });

  it('jpg is a name of JPEG, in capitals too, and so is image/jpg', async () => {
    expect(await madeHow(await deblur(png(), '?format=JPG'))).toMatch(/ image\/jpeg$/);
    expect(await madeHow(await deblur(png(), '', { accept: 'image/jpg' }))).toMatch(/ image\/jpeg$/);
  });

  it('a file in another field is named, with the field where it belongs', async () => {
    const response = await deblur(form([['photo', new Blob([png()], { type: 'image/png' })]]));
    expect(await detailOf(response)).toBe(
      'The picture must be in the field "image"; there is a file in "photo". Rename the field.',
    );
  });

  it('curl -d is told of --data-binary', async () => {
    const altered = png().filter((byte) => ![0, 10, 13].includes(byte));
    const response = await deblur(altered, '', { 'content-type': 'application/x-www-form-urlencoded' });
    expect(await detailOf(response)).toMatch(/ curl -d alters files: use --data-binary\.$/);
    const whole = await deblur(png(), '', { 'content-type': 'application/x-www-form-urlencoded' });
    expect(whole.status).toBe(200);
  });

  it('a form whose part has an endless head is refused', async () => {
    const head = `--b\r\nContent-Disposition: form-data; name="image"; filename="p.png"\r\nX-Fill: `;
    const chunk = new Uint8Array(MIB).fill(120);
    const body = streamOf(concat(new TextEncoder().encode(head), ...Array.from({ length: 6 }, () => chunk)), MIB);
    const response = await deblur(body, '', { 'content-type': 'multipart/form-data; boundary=b' });
    expect(await detailOf(response)).toMatch(/^The form has more than 65,536 bytes besides the picture\./);
  });
});

describe('sizes', () => {
  const announced = (length: number, type = 'image/png') =>
    call('/v1/deblur', {
      method: 'POST',
      body: 'x',
      headers: { 'content-type': type, 'content-length': String(length) },
    });

  it.each([
    ['raw', 'image/png', 25_000_001],
    ['a form', 'multipart/form-data; boundary=b', 25_100_000],
    ['JSON', 'application/json', 8_000_001],
  ])('refuses too long a body at once when its length is announced: %s', async (_, type, length) => {
    expect(await problemOf(await announced(length, type))).toEqual(problem(413, 'body_too_large'));
  });

  const tooLarge = png({ bytes: 25_000_001 });

  it('refuses it as it streams in without a length, and leaves nothing behind', async () => {
    expect(await problemOf(await deblur(streamOf(tooLarge)))).toEqual(problem(413, 'body_too_large'));
    expect(await stored('')).toEqual([]);
  });

  it('refuses it within a form', async () => {
    const response = await deblur(form([['image', new Blob([tooLarge])]]));
    expect(await problemOf(response)).toEqual(problem(413, 'body_too_large'));
    expect(await stored('')).toEqual([]);
  });

  it('refuses JSON as it streams in', async () => {
    const body = streamOf(new Uint8Array(8_000_001).fill(0x20));
    const response = await deblur(body, '', { 'content-type': 'application/json' });
    expect(await problemOf(response)).toEqual(problem(413, 'body_too_large'));
  });
});

describe('uploads above 4 MiB', () => {
  const sha256 = async (bytes: Uint8Array<ArrayBuffer>) =>
    new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)).toHex();

  it.each([
    ['with a length', (picture: Uint8Array<ArrayBuffer>) => deblur(picture)],
    ['without a length', (picture: Uint8Array<ArrayBuffer>) => deblur(streamOf(picture))],
    ['in a form', (picture: Uint8Array<ArrayBuffer>) => deblur(form([['image', new Blob([picture])]]))],
  ])('stream to the store and reach the runner whole: %s', async (_, send) => {
    // 11 MiB: two whole parts of R2's and a rest.
    const picture = png({ width: 2000, height: 2000, bytes: 11 * MIB });
    expect(await madeHow(await send(picture))).toBe('200 miss runner image/png');
    const [request] = await gpu.requests();
    expect(request?.source).toEqual({ status: 200, bytes: picture.length, sha256: await sha256(picture) });
    expect(await stored('uploads/')).toHaveLength(1);
  });

  it('are deleted when they hit', async () => {
    const picture = png({ bytes: 5 * MIB });
    expect(await madeHow(await deblur(picture))).toBe('200 miss edge image/png');
    expect(await madeHow(await deblur(picture))).toBe('200 hit edge image/png');
    expect(await stored('uploads/')).toHaveLength(1);
    expect(await stored('sources/')).toHaveLength(1);
  });

  it('are deleted when they are refused late', async () => {
    const picture = new Blob([png({ bytes: 5 * MIB })]);
    const response = await deblur(
      form([
        ['image', picture],
        ['sharpness', '9'],
      ]),
    );
    expect(await problemOf(response)).toEqual(problem(422, 'unknown_option'));
    expect(await problemOf(await deblur(picture, '?model=dhnet'))).toEqual(problem(422, 'model_unavailable'));
    expect(await stored('')).toEqual([]);
  });

  it('leave nothing behind when they break off within a form', async () => {
    const whole = new Response(form([['image', new Blob([png({ bytes: 6 * MIB })])]]));
    const type = whole.headers.get('content-type') ?? '';
    let sent = 0;
    const broken = (whole.body as ReadableStream<Uint8Array>).pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform(chunk, controller) {
          if ((sent += chunk.length) > 5 * MIB) controller.error(new Error('the line is cut'));
          else controller.enqueue(chunk);
        },
      }),
    );
    const response = await deblur(broken, '', { 'content-type': type });
    expect(await problemOf(response)).toEqual(problem(400, 'malformed_request'));
    expect(await stored('')).toEqual([]);
  });

  it('may have their header behind the first 4 MiB', async () => {
    const picture = jpeg({ segments: 80 });
    expect(await madeHow(await deblur(picture))).toBe('200 miss edge image/jpeg');
    const cut = picture.slice(0, 80 * 65_537);
    expect(await problemOf(await deblur(cut))).toEqual(problem(422, 'image_truncated'));
    expect(await stored('uploads/')).toHaveLength(1);
  });
});

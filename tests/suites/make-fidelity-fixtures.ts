/**
 * Writes tests/fixtures/fidelity/: every kind of file that the fidelity suite hands in. `node tests/suites/make-fidelity-fixtures.ts`.
 * The files are kept in the repository, because the suite also runs where no encoder for them exists.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import sharp, { type Sharp } from 'sharp';

const fixtures = new URL('../fixtures/', import.meta.url);
const target = new URL('fidelity/', fixtures);

const EXIF = { IFD0: { Copyright: 'A photographer', Software: 'fidelity' } };
const XMP =
  '<?xpacket begin="\uFEFF" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF ' +
  'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" ' +
  'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="a-fidelity-fixture"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>';

/** Photographic, at any size: a part of a Kodak picture. */
async function photo(width: number, height: number): Promise<Sharp> {
  const file = await readFile(new URL('kodak/kodim23.png', fixtures));
  const crop = sharp(file)
    .extract({ left: 120, top: 60, width: 400, height: 400 })
    .resize(width, height, { fit: 'fill' });
  // A pipeline of its own, so that later steps do not change the order of these.
  return sharp(await crop.raw().toBuffer(), { raw: { width, height, channels: 3 } });
}

type Channels = 1 | 2 | 3 | 4;

function picture(
  width: number,
  height: number,
  channels: Channels,
  sample: (x: number, y: number, c: number) => number,
): Sharp {
  const data = Uint8Array.from({ length: width * height * channels }, (_, i) => {
    const pixel = Math.floor(i / channels);
    return sample(pixel % width, Math.floor(pixel / width), i % channels);
  });
  return sharp(data, { raw: { width, height, channels } }).toColourspace(channels <= 2 ? 'b-w' : 'srgb');
}

/** Pseudo-random bytes, the same on every run (numerical recipes' linear congruence). */
function noise(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  };
}

/** Alpha of every value, colours that go on under full transparency. */
function transparent(channels: 2 | 4): Sharp {
  return picture(61, 47, channels, (x, y, c) => {
    if (c === channels - 1) return x < 20 ? 0 : (x * 7 + y * 13) % 256;
    return 60 + ((x * (c + 2) + y) % 120);
  });
}

/** Pixels stored so that `orientation` turns them upright again; every orientation shows the same picture. */
async function stored(orientation: number): Promise<Sharp> {
  const width = 90;
  const height = 64;
  const upright = await (await photo(width, height)).raw().toBuffer();
  const swapped = orientation >= 5;
  const [w, h] = swapped ? [height, width] : [width, height];
  const pixel = (x: number, y: number): readonly [number, number] => {
    // Where the stored pixel x, y appears in the upright picture (EXIF 2.32 § 4.6.4 A).
    switch (orientation) {
      case 2:
        return [w - 1 - x, y];
      case 3:
        return [w - 1 - x, h - 1 - y];
      case 4:
        return [x, h - 1 - y];
      case 5:
        return [y, x];
      case 6:
        return [h - 1 - y, x];
      case 7:
        return [h - 1 - y, w - 1 - x];
      case 8:
        return [y, w - 1 - x];
      default:
        return [x, y];
    }
  };
  const turned = picture(w, h, 3, (x, y, c) => {
    const [ux, uy] = pixel(x, y);
    return upright[(uy * width + ux) * 3 + c]!;
  });
  return turned.withMetadata({ orientation });
}

async function frames(): Promise<Buffer[]> {
  return Promise.all(
    [40, 120, 200].map((red) =>
      sharp({ create: { width: 16, height: 12, channels: 3, background: { r: red, g: 90, b: 20 } } })
        .png()
        .toBuffer(),
    ),
  );
}

function described(image: Sharp): Sharp {
  return image.withIccProfile('p3').withExif(EXIF).withXmp(XMP);
}

async function files(): Promise<Record<string, Sharp>> {
  const random = noise();
  const slope16 = new Uint16Array(96 * 64 * 3).map((_, i) => 20_000 + (Math.floor(i / 3) % 96) * 97 + (i % 3) * 3000);
  const all: Record<string, Sharp> = {
    'size-1x1.png': picture(1, 1, 3, (_x, _y, c) => 90 + c * 40).png(),
    'size-1x37.png': picture(1, 37, 3, (_x, y, c) => 40 + y * 4 + c * 10).png(),
    'size-41x1.jpg': picture(41, 1, 3, (x, _y, c) => 40 + x * 4 + c * 10).jpeg({ quality: 95 }),
    'size-61x47.jpg': (await photo(61, 47)).jpeg({ quality: 92 }),
    'size-61x47.webp': (await photo(61, 47)).webp({ quality: 92 }),
    'size-257x300.png': (await photo(257, 300)).png(),
    'rgba.png': transparent(4).png(),
    'rgba.webp': transparent(4).webp({ lossless: true, exact: true }),
    'grey-alpha.png': transparent(2).png(),
    'grey.png': (await photo(70, 50)).toColourspace('b-w').png(),
    'grey.jpg': (await photo(70, 50)).toColourspace('b-w').jpeg({ quality: 92 }),
    'two-colours.png': picture(45, 33, 1, (x, y) => (((x >> 2) + (y >> 2)) % 2 === 0 ? 0 : 255)).png({
      palette: true,
      colours: 2,
    }),
    'palette.png': (await photo(64, 64)).png({ palette: true, colours: 64 }),
    'palette-alpha.png': transparent(4).png({ palette: true, colours: 200, dither: 0 }),
    'interlaced.png': (await photo(67, 45)).png({ progressive: true }),
    'interlaced-palette.png': (await photo(67, 45)).png({ progressive: true, palette: true, colours: 12 }),
    'progressive.jpg': (await photo(120, 90)).jpeg({ quality: 90, progressive: true }),
    'subsampled.jpg': (await photo(121, 91)).jpeg({ quality: 90, chromaSubsampling: '4:2:0' }),
    'photo.png': (await photo(256, 256)).png(),
    'gradient.png': picture(600, 290, 3, (x, y, c) => Math.round(30 + (c === 1 ? y / 2 : x / 4) + c * 5)).png(),
    'noise.png': picture(560, 270, 1, () => 64 + (random() >> 1)).png(),
    'described.jpg': described(await photo(96, 64)).jpeg({ quality: 92 }),
    'described.png': described(await photo(96, 64)).png(),
    'described.webp': described(await photo(96, 64)).webp({ quality: 92 }),
    'sixteen-bit.png': sharp(slope16, { raw: { width: 96, height: 64, channels: 3 } })
      .toColourspace('rgb16')
      .png(),
    'cmyk.jpg': (await photo(96, 64)).toColourspace('cmyk').jpeg({ quality: 92 }),
    'photo.avif': (await photo(96, 64)).avif({ quality: 80 }),
    'photo.tiff': (await photo(96, 64)).tiff({ compression: 'deflate' }),
    'animated.webp': sharp(await frames(), { join: { animated: true } }).webp(),
    'animated.gif': sharp(await frames(), { join: { animated: true } }).gif(),
  };
  for (let orientation = 1; orientation <= 8; orientation++) {
    all[`orientation-${orientation}.png`] = (await stored(orientation)).png();
  }
  all['orientation-6.jpg'] = (await stored(6)).jpeg({ quality: 95 });
  all['orientation-6.webp'] = (await stored(6)).webp({ lossless: true });
  return all;
}

await mkdir(target, { recursive: true });
for (const [name, image] of Object.entries(await files())) {
  await writeFile(new URL(name, target), await image.toBuffer());
}

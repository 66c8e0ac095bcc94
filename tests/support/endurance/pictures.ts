/** Any number of distinct pictures of 256×256, the same ones in every run. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp, { type Raw } from 'sharp';

export const SIDE = 256;

const FIXTURES = ['reds/blur.png', 'kodak/kodim04.png', 'kodak/kodim23.png'].map((name) =>
  fileURLToPath(new URL(`../../fixtures/${name}`, import.meta.url)),
);

interface Photograph {
  readonly samples: Buffer;
  readonly raw: Raw;
}

export class Pictures {
  readonly #files: readonly string[];
  readonly #decoded = new Map<string, Promise<Photograph>>();

  private constructor(files: readonly string[]) {
    this.#files = files;
  }

  /** @param folder of photographs, searched whole; absent: those of the repository */
  static async from(folder?: string): Promise<Pictures> {
    if (folder === undefined) return new Pictures(FIXTURES);
    const names = await readdir(folder, { recursive: true });
    const files = names.filter((name) => /\.(?:png|jpe?g|webp)$/i.test(name)).sort();
    if (files.length === 0) throw new Error(`${folder} has no photographs`);
    return new Pictures(files.map((name) => path.join(folder, name)));
  }

  /** A PNG: a window of a photograph, in one of eight positions. Neighbouring numbers are of different photographs. */
  async at(index: number): Promise<Buffer> {
    const count = this.#files.length;
    const round = Math.floor(index / count);
    const { samples, raw } = await this.#open(this.#files[index % count]!);
    const window = await sharp(samples, { raw })
      .extract({ ...windowOf(raw, round), width: SIDE, height: SIDE })
      .raw()
      .toBuffer();
    const turned = sharp(window, { raw: { width: SIDE, height: SIDE, channels: 3 } })
      .rotate(90 * (round % 4))
      .flop(round % 8 >= 4);
    return turned.png({ compressionLevel: 3 }).toBuffer();
  }

  #open(file: string): Promise<Photograph> {
    // A few are kept decoded; a whole data set would not fit.
    if (this.#files.length > FIXTURES.length) return decode(file);
    const known = this.#decoded.get(file) ?? decode(file);
    this.#decoded.set(file, known);
    return known;
  }
}

async function decode(file: string): Promise<Photograph> {
  const upright = sharp(file).autoOrient().removeAlpha().toColourspace('srgb');
  const { data: samples, info } = await upright.raw().toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  if (Math.min(width, height) < SIDE || channels !== 3) throw new Error(`${file}: not a photograph of ${SIDE} or more`);
  return { samples, raw: { width, height, channels } };
}

/** Additive recurrence by the plastic number (the R2 sequence): as far from all earlier windows as it gets. */
function windowOf({ width, height }: Raw, round: number): { readonly left: number; readonly top: number } {
  const at = (step: number, room: number): number => Math.floor((((round + 1) * step) % 1) * (room + 1));
  return { left: at(0.7548776662466927, width - SIDE), top: at(0.5698402909980532, height - SIDE) };
}

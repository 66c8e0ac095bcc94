/** What decoding a HEIF may cost: its boxes may claim one size, the coded data another, and a grid may name one tile a thousand times. */
import { summarizeAv1, type Av1Summary, type CodedColour } from './av1.ts';
import { itemBytes, readItemExtents, type Box, type Extent, type ItemTable } from './bmff.ts';
import { undecodable, type ByteView } from './byte-view.ts';
import { HEIF_CODING, property, type HeifFormat } from './heif-coding.ts';
import { summarizeHevc } from './hevc.ts';

/**
 * Pixels that the coded data may decode to, for each pixel of the picture: colour and alpha, the padding of a grid's last row and column,
 * and the layers of a progressive picture.
 */
const MAX_CODED_PER_PIXEL = 4;

/** A single tile of a small picture may be padded by more than the picture has. */
const SMALL_PIXELS = 1024 * 1024;

interface CodedPicture {
  readonly format: HeifFormat;
  readonly primaryId: number;
  readonly alphaId: number | undefined;
  /** As the boxes say, before cropping and turning. */
  readonly width: number;
  readonly height: number;
}

/**
 * Reads the sequence headers of a whole file.
 * @returns what the primary picture's bitstream says of its colours
 * @throws {DeblurError} `image_undecodable` when more is coded than the picture can need, and for a grid that contradicts itself;
 *   `image_truncated`
 */
export function assertHeifCost(
  view: ByteView,
  meta: Box,
  table: ItemTable,
  picture: CodedPicture,
): CodedColour | undefined {
  const extents = readItemExtents(view, meta);
  const reader = new CodedItems(view, table, extents, picture);
  const colour = reader.add(picture.primaryId);
  if (picture.alphaId !== undefined) reader.add(picture.alphaId);
  return colour;
}

class CodedItems {
  readonly #view: ByteView;
  readonly #table: ItemTable;
  readonly #extents: ReadonlyMap<number, readonly Extent[]>;
  readonly #picture: CodedPicture;
  readonly #known = new Map<number, { readonly pixels: number; readonly colour: CodedColour | undefined }>();
  #left: number;

  constructor(
    view: ByteView,
    table: ItemTable,
    extents: ReadonlyMap<number, readonly Extent[]>,
    picture: CodedPicture,
  ) {
    this.#view = view;
    this.#table = table;
    this.#extents = extents;
    this.#picture = picture;
    this.#left = Math.max(SMALL_PIXELS, MAX_CODED_PER_PIXEL * picture.width * picture.height);
  }

  /** Counts an item, or the tiles of a grid. @returns the colours of the first */
  add(id: number): CodedColour | undefined {
    const tiles = this.#table.items.get(id)?.type === 'grid' ? this.#tilesOf(id) : [id];
    const colours = tiles.map((tile) => this.#count(tile));
    return colours[0];
  }

  #count(id: number): CodedColour | undefined {
    let item = this.#known.get(id);
    if (item === undefined) {
      const { width, height, frames, colour } = this.#summarize(id);
      item = { pixels: width * height * Math.max(1, frames), colour };
      this.#known.set(id, item);
    }
    this.#left -= item.pixels;
    if (this.#left < 0) throw undecodable('The file codes many more pixels than its picture has.');
    return item.colour;
  }

  #summarize(id: number): Omit<Av1Summary, 'colour'> & Partial<Pick<Av1Summary, 'colour'>> {
    const data = itemBytes(this.#view, this.#extents.get(id));
    if (this.#picture.format === 'avif') return summarizeAv1(data);
    const config = property(this.#table.items.get(id)?.properties ?? [], HEIF_CODING.heic.configuration);
    if (config === undefined) throw undecodable('The HEIC has no HEVC configuration.');
    return summarizeHevc(this.#view.slice(config.at, config.end - config.at), data);
  }

  /** ISO/IEC 23008-12 § 6.6.2.3.2: version, flags, rows and columns less one, then the size of the canvas. */
  #tilesOf(id: number): readonly number[] {
    const grid = itemBytes(this.#view, this.#extents.get(id));
    const wide = ((grid[1] ?? 0) & 1) !== 0;
    if (grid.length < (wide ? 12 : 8)) throw undecodable('The grid of the picture is broken.');
    const data = new DataView(grid.buffer, grid.byteOffset);
    const width = wide ? data.getUint32(4) : data.getUint16(4);
    const height = wide ? data.getUint32(8) : data.getUint16(6);
    const tiles = this.#table.references.find(({ type, from }) => type === 'dimg' && from === id)?.to ?? [];
    const named = (grid[2]! + 1) * (grid[3]! + 1);
    if (width !== this.#picture.width || height !== this.#picture.height || tiles.length !== named) {
      throw undecodable('The grid of the picture contradicts its boxes.');
    }
    return tiles;
  }
}

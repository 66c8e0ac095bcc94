export const THUMBNAIL = Buffer.from('\xff\xd8 a thumbnail of the blurred picture \xff\xd9', 'latin1');

interface ExifOptions {
  readonly littleEndian?: boolean;
  readonly thumbnailAt?: number;
  readonly thumbnailLength?: number;
}

/** Where things lie in the block: IFD0 (orientation, artist, Exif IFD), the Exif IFD, the artist, IFD1, the thumbnail. */
const layout = {
  ifd0: 8,
  orientationAt: 18,
  nextAt: 46,
  exifIfd: 50,
  artistAt: 68,
  keptUntil: 80,
  ifd1: 80,
  thumbnail: 110,
};

/** An EXIF block as cameras write it, with IFD1 and a thumbnail at its end. */
function build({ littleEndian = true, thumbnailAt, thumbnailLength }: ExifOptions = {}): Uint8Array {
  const bytes = new Uint8Array(layout.thumbnail + THUMBNAIL.length);
  const view = new DataView(bytes.buffer);
  const u16 = (at: number, value: number): void => view.setUint16(at, value, littleEndian);
  const u32 = (at: number, value: number): void => view.setUint32(at, value, littleEndian);
  const ifd = (
    at: number,
    entries: readonly (readonly [tag: number, type: number, count: number, value: number])[],
    next: number,
  ): void => {
    u16(at, entries.length);
    entries.forEach(([tag, type, count, value], i) => {
      const entry = at + 2 + i * 12;
      u16(entry, tag);
      u16(entry + 2, type);
      u32(entry + 4, count);
      if (type === 3) u16(entry + 8, value);
      else u32(entry + 8, value);
    });
    u32(at + 2 + entries.length * 12, next);
  };
  bytes.set(Buffer.from(littleEndian ? 'II' : 'MM'));
  u16(2, 42);
  u32(4, layout.ifd0);
  const main = [
    [0x0112, 3, 1, 6],
    [0x013b, 2, 12, layout.artistAt],
    [0x8769, 4, 1, layout.exifIfd],
  ] as const;
  ifd(layout.ifd0, main, layout.ifd1);
  ifd(layout.exifIfd, [[0xa002, 4, 1, 4000]], 0);
  bytes.set(Buffer.from('Ada Lovelace'), layout.artistAt);
  const thumbnail = [
    [0x0201, 4, 1, thumbnailAt ?? layout.thumbnail],
    [0x0202, 4, 1, thumbnailLength ?? THUMBNAIL.length],
  ] as const;
  ifd(layout.ifd1, thumbnail, 0);
  bytes.set(THUMBNAIL, layout.thumbnail);
  return bytes;
}

export const exifWithThumbnail = Object.assign(build, { layout });

/** An AVIF lists what it holds, eight bytes and fewer an entry: a file of megabytes must not become a heap of objects. */
import { readImageHeader } from '@deblur/shared/image-header/index.ts';
import { describe, expect, it } from 'vitest';
import { bmff } from './support/containers.ts';
import { join, u32be, type Part } from './support/pictures.ts';

const box = (type: string, ...payload: readonly Part[]): Uint8Array => {
  const body = join(type, ...payload);
  return join(u32be(body.length + 4), body);
};
const u16 = (value: number): readonly number[] => [value >> 8, value & 255];
const repeated = (bytes: Uint8Array, times: number): Uint8Array => Buffer.alloc(bytes.length * times, bytes);

/** The file with `added` at the end of the innermost of these boxes, each inside the one before. */
function withContents(file: Uint8Array, path: readonly string[], added: Uint8Array): Uint8Array {
  const grown = Buffer.from(file);
  let end = file.length;
  for (const type of path) {
    const at = grown.indexOf(type, 0, 'latin1') - 4;
    const size = grown.readUInt32BE(at);
    end = at + size;
    grown.writeUInt32BE(size + added.length, at);
  }
  return Buffer.concat([grown.subarray(0, end), added, grown.subarray(end)]);
}

const free = box('free');
const item = (id: number): Uint8Array => box('infe', [2, 0, 0, 0], u16(id), u16(0), 'av01', [0]);
/** Version 0 with indices of one byte. */
const ipma = (entries: number, entry: Part): Uint8Array =>
  box('ipma', u32be(0), u32be(entries), repeated(join(entry), entries));
const reference = (to: number): Uint8Array => box('thmb', u16(2), u16(to), repeated(join(u16(1)), to));

describe('an AVIF that lists too much is refused', () => {
  const file = bmff({ alpha: true });

  it('boxes beside the lists, in which another one is looked for', () => {
    const whole = withContents(bmff(), ['meta'], repeated(free, 100_000));
    expect(() => readImageHeader(whole)).toThrow('image_undecodable');
  });

  it.each<[string, readonly string[], Uint8Array]>([
    ['20 MB of properties', ['meta', 'iprp', 'ipco'], repeated(free, 2_500_000)],
    ['items', ['meta', 'iinf'], repeated(item(7), 100_000)],
    ['lists of associations', ['meta', 'iprp'], repeated(ipma(0, []), 100_000)],
    ['associations of many items', ['meta', 'iprp'], ipma(100_000, [0, 7, 0])],
    ['associations of few items', ['meta', 'iprp'], ipma(100, [0, 7, 255, ...new Array<number>(255).fill(1)])],
    ['references', ['meta', 'iref'], repeated(reference(1), 100_000)],
    ['ends of references', ['meta', 'iref'], reference(60_000)],
  ])('%s', (_, path, added) => {
    const whole = withContents(file, path, added);
    expect(() => readImageHeader(whole)).toThrow('image_undecodable');
    // As in an upload whose beginning alone is there.
    expect(() => readImageHeader(whole, { complete: false })).toThrow('image_undecodable');
  });

  it('boxes beside the meta box', () => {
    const end = Buffer.from(file).readUInt32BE(0);
    const whole = join(file.subarray(0, end), repeated(free, 100_000), file.subarray(end));
    expect(() => readImageHeader(whole)).toThrow('image_undecodable');
  });
});

it('an AVIF of 50 MP in tiles of 512×512 with alpha, each with six properties of its own, is read', () => {
  const tiles = Array.from({ length: 400 }, (_, i) => 100 + i);
  let file = bmff({ grid: true, alpha: true, width: 7168, height: 7168 });
  file = withContents(file, ['meta', 'iinf'], join(...tiles.map(item)));
  file = withContents(file, ['meta', 'iref'], box('dimg', u16(2), u16(400), tiles.flatMap(u16)));
  file = withContents(file, ['meta', 'iprp', 'ipco'], repeated(free, 2400));
  file = withContents(file, ['meta', 'iprp'], ipma(400, [0, 100, 6, 1, 2, 3, 4, 5, 6]));
  expect(readImageHeader(file)).toMatchObject({ width: 7168, height: 7168, channels: 4 });
});

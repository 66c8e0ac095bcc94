/**
 * Steps on a row beside products and filters. A row of a map is its vectors of four channels, `plane` bytes apart, each for
 * all pixels.
 */
import { LARGEST_ADDRESS } from '../../shared/kernels/scratch.ts';
import {
  add,
  advance,
  countDown,
  f32x4,
  func,
  get,
  int,
  load,
  loadByte,
  multiply,
  names,
  ORIGIN,
  pick,
  repeat,
  set,
  store,
  VECTOR,
  ZERO,
  type MultiplyAdd,
} from './wat.ts';

const EPSILON = 1e-6;

const lane = (vector: string, i: number): string => pick(vector, vector, [i, i, i, i]);

/** The sums over the lanes of four vectors, as one vector. */
function laneSums([a, b, c, d]: readonly [string, string, string, string]): string {
  const half = (x: string, y: string): string => f32x4('add', pick(x, y, [0, 4, 1, 5]), pick(x, y, [2, 6, 3, 7]));
  const [first, second] = [half(a, b), half(c, d)];
  return f32x4('add', pick(first, second, [0, 1, 4, 5]), pick(first, second, [2, 3, 6, 7]));
}

/**
 * `normalize(source, sourcePlane, target, targetPlane, blocks, pixels, share)`: mean 0 and variance 1 over the channels of
 * every pixel; share (f32) is one divided by their number.
 */
function normalize(multiplyAdd: MultiplyAdd): string {
  const PIXELS = 4;
  const each = (write: (p: number) => string): string => repeat(PIXELS, write);
  const overChannels = (body: readonly string[]): string =>
    [
      set('in', get('source')),
      set('left', get('blocks')),
      countDown('left', 1, [...body, advance('in', get('sourcePlane'))]),
    ].join('\n');
  const centred = (p: number): string => f32x4('sub', load(get('in'), p * VECTOR), get(`mean${p}`));
  const share = f32x4('splat', get('share'));
  const sums = laneSums([get('sum0'), get('sum1'), get('sum2'), get('sum3')]);
  const parameters = ['source', 'sourcePlane', 'target', 'targetPlane', 'blocks', 'pixels', 'share f32'];
  const locals = {
    i32: ['in', 'out', 'left'],
    v128: [...names('sum', PIXELS), ...names('mean', PIXELS), ...names('scale', PIXELS), 'all', 'difference'],
  };
  return func('normalize', parameters, locals, [
    countDown('pixels', PIXELS, [
      each((p) => set(`sum${p}`, ZERO)),
      overChannels([each((p) => set(`sum${p}`, f32x4('add', get(`sum${p}`), load(get('in'), p * VECTOR))))]),
      set('all', f32x4('mul', sums, share)),
      each((p) => set(`mean${p}`, lane(get('all'), p))),
      each((p) => set(`sum${p}`, ZERO)),
      overChannels([
        each((p) =>
          [
            set('difference', centred(p)),
            set(`sum${p}`, multiplyAdd(get('difference'), get('difference'), get(`sum${p}`))),
          ].join('\n'),
        ),
      ]),
      set('all', f32x4('add', f32x4('mul', sums, share), `(v128.const f32x4 ${`${EPSILON} `.repeat(4)})`)),
      set('all', f32x4('div', '(v128.const f32x4 1 1 1 1)', f32x4('sqrt', get('all')))),
      each((p) => set(`scale${p}`, lane(get('all'), p))),
      set('out', get('target')),
      overChannels([
        each((p) => store(get('out'), p * VECTOR, f32x4('mul', centred(p), get(`scale${p}`)))),
        advance('out', get('targetPlane')),
      ]),
      advance('source', int(PIXELS * VECTOR)),
      advance('target', int(PIXELS * VECTOR)),
    ]),
  ]);
}

/** For every vector of channels of a row: `before`, then `body` for every pixel with the pointers that it advances, then `after`. */
function overRow(
  starts: Readonly<Record<string, string>>,
  body: readonly string[],
  { before = '', after = '' }: { readonly before?: string; readonly after?: string } = {},
): string {
  return countDown('blocks', 1, [
    ...Object.entries(starts).map(([pointer, start]) => set(pointer, get(start))),
    set('left', get('pixels')),
    before,
    countDown('left', 1, body),
    after,
  ]);
}

/** `sum-row(source, plane, sums, blocks, pixels)`: adds every channel's pixels to `sums`, whose vectors are four pixels apart. */
function sumRow(): string {
  return func('sum-row', ['source', 'plane', 'sums', 'blocks', 'pixels'], { i32: ['in', 'left'], v128: ['sum'] }, [
    overRow({ in: 'source' }, [set('sum', f32x4('add', get('sum'), load(get('in')))), advance('in', int(VECTOR))], {
      before: set('sum', ZERO),
      after: [
        store(get('sums'), 0, f32x4('add', get('sum'), load(get('sums')))),
        advance('sums', int(4 * VECTOR)),
        advance('source', get('plane')),
      ].join('\n'),
    }),
  ]);
}

/** `copy-row(source, sourcePlane, target, targetPlane, blocks, pixels)` */
function copyRow(): string {
  const parameters = ['source', 'sourcePlane', 'target', 'targetPlane', 'blocks', 'pixels'];
  return func('copy-row', parameters, { i32: ['in', 'out', 'left'] }, [
    overRow(
      { in: 'source', out: 'target' },
      [store(get('out'), 0, load(get('in'))), advance('in', int(VECTOR)), advance('out', int(VECTOR))],
      { after: [advance('source', get('sourcePlane')), advance('target', get('targetPlane'))].join('\n') },
    ),
  ]);
}

/** `clear(target, plane, blocks, pixels)`: zeros. */
function clear(): string {
  return func('clear', ['target', 'plane', 'blocks', 'pixels'], { i32: ['out', 'left'] }, [
    overRow({ out: 'target' }, [store(get('out'), 0, ZERO), advance('out', int(VECTOR))], {
      after: advance('target', get('plane')),
    }),
  ]);
}

/**
 * `shuffle-add(source, sourcePlane, target, targetPlane, blocks, pixels)`: adds every pixel to every other pixel of the
 * target. PixelShuffle by 2 is four of these.
 */
function shuffleAdd(): string {
  const parameters = ['source', 'sourcePlane', 'target', 'targetPlane', 'blocks', 'pixels'];
  return func('shuffle-add', parameters, { i32: ['in', 'out', 'left'] }, [
    overRow(
      { in: 'source', out: 'target' },
      [
        store(get('out'), 0, f32x4('add', load(get('out')), load(get('in')))),
        advance('in', int(VECTOR)),
        advance('out', int(2 * VECTOR)),
      ],
      { after: [advance('source', get('sourcePlane')), advance('target', get('targetPlane'))].join('\n') },
    ),
  ]);
}

/** `mix(source, bytes, target, vectors, weight0, … weight4)`: the weighted sum of five arrays that are `bytes` apart. */
function mix(multiplyAdd: MultiplyAdd): string {
  const weights = names('weight', 5);
  const source = (i: number): string => add(get('source'), multiply(get('bytes'), int(i)));
  const sum = weights.reduce(
    (total, weight, i) => multiplyAdd(f32x4('splat', get(weight)), load(source(i)), total),
    ZERO,
  );
  const parameters = ['source', 'bytes', 'target', 'vectors', ...weights.map((weight) => `${weight} f32`)];
  return func('mix', parameters, {}, [
    countDown('vectors', 1, [
      store(get('target'), 0, sum),
      advance('source', int(VECTOR)),
      advance('target', int(VECTOR)),
    ]),
  ]);
}

/** Bytes of colour `c` of a square of four pixels, as integers: lanes are (row, column) = 00, 01, 10, 11. */
function square(c: number): string {
  const addresses = [
    ['line0', c],
    ['line0', 3 + c],
    ['line1', c],
    ['line1', 3 + c],
  ] as const;
  return addresses.reduce(
    (vector, [line, at], i) => `(i32x4.replace_lane ${i} ${vector} ${loadByte(get(line), at)})`,
    ZERO,
  );
}

const nextSquare = [advance('line0', int(6)), advance('line1', int(6))].join('\n');

/** `unshuffle(line0, line1, target, plane, pixels)`: two lines of RGB bytes become one row of 12 channels, PixelUnshuffle by 2. */
function unshuffle(): string {
  return func('unshuffle', ['line0', 'line1', 'target', 'plane', 'pixels'], { i32: ['out'] }, [
    countDown('pixels', 1, [
      set('out', get('target')),
      repeat(3, (c) =>
        [store(get('out'), 0, f32x4('convert_i32x4_u', square(c))), advance('out', get('plane'))].join('\n'),
      ),
      advance('target', int(VECTOR)),
      nextSquare,
    ]),
  ]);
}

/**
 * `finish(source, plane, line0, line1, pixels)`: adds a row of 12 channels to the two lines that `unshuffle` made a row
 * of. Halves are rounded to even, as ONNX's Round does.
 */
function finish(): string {
  const restored = (c: number): string => {
    const sum = f32x4('add', f32x4('convert_i32x4_u', square(c)), load(get('in')));
    return `(i32x4.trunc_sat_f32x4_u ${f32x4('nearest', f32x4('min', sum, '(v128.const f32x4 255 255 255 255)'))})`;
  };
  const put = (line: string, at: number, i: number): string =>
    `(i32.store8 offset=${at} ${get(line)} (i32x4.extract_lane ${i} ${get('bytes')}))`;
  return func('finish', ['source', 'plane', 'line0', 'line1', 'pixels'], { i32: ['in'], v128: ['bytes'] }, [
    countDown('pixels', 1, [
      set('in', get('source')),
      repeat(3, (c) =>
        [
          set('bytes', restored(c)),
          put('line0', c, 0),
          put('line0', 3 + c, 1),
          put('line1', c, 2),
          put('line1', 3 + c, 3),
          advance('in', get('plane')),
        ].join('\n'),
      ),
      advance('source', int(VECTOR)),
      nextSquare,
    ]),
  ]);
}

/**
 * `widen(source, target, vectors)`: IEEE 754 binary16 to binary32. The exponent moves to its place and is 112 too small there,
 * which a multiplication mends, for subnormal numbers, too. The largest size met, as bits, is left at LARGEST_ADDRESS.
 */
function widen(): string {
  const masked = (mask: number): string => `(v128.and ${get('half')} (i32x4.splat ${int(mask)}))`;
  const bits = `(v128.or (i32x4.shl ${masked(0x8000)} ${int(16)}) (i32x4.shl ${masked(0x7fff)} ${int(13)}))`;
  return func('widen', ['source', 'target', 'vectors'], { v128: ['half', 'largest'] }, [
    countDown('vectors', 1, [
      set('half', `(v128.load16x4_u ${get('source')})`),
      set('largest', `(i32x4.max_u ${get('largest')} ${masked(0x7fff)})`),
      store(get('target'), 0, f32x4('mul', bits, f32x4('splat', `(f32.const ${2 ** 112})`))),
      advance('source', int(8)),
      advance('target', int(VECTOR)),
    ]),
    store(ORIGIN, LARGEST_ADDRESS, get('largest')),
  ]);
}

export function rows(multiplyAdd: MultiplyAdd): string[] {
  return [
    normalize(multiplyAdd),
    sumRow(),
    copyRow(),
    clear(),
    shuffleAdd(),
    mix(multiplyAdd),
    unshuffle(),
    finish(),
    widen(),
  ];
}

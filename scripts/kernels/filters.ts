/**
 * Depth-wise filters, four channels to a vector. Rows come with a border of zeros on both sides; `row*` point at the
 * border's first pixel. Weights of the 3×3 filters are copied to constant addresses (scratch.ts) before a row's pixels are filtered.
 *
 * V8 keeps a loaded value for the next load of the same address. So the taps of a row are written as a window that slides
 * over as many inputs as sums, and blocks are chosen to need at most 15 registers with it.
 */
import { FILTER_ADDRESS } from '../../shared/kernels/scratch.ts';
import {
  add,
  advance,
  countDown,
  f32x4,
  func,
  get,
  int,
  load,
  loadInt,
  names,
  ORIGIN,
  repeat,
  set,
  store,
  VECTOR,
  ZERO,
  type MultiplyAdd,
} from './wat.ts';

/** Weight number `i` of those that were copied. */
const copied = (i: number): string => load(ORIGIN, FILTER_ADDRESS + i * VECTOR);

/** Copies the next `count` vectors at `weights`, and moves on behind them. */
function copyWeights(count: number): string {
  return [
    repeat(count, (i) => store(ORIGIN, FILTER_ADDRESS + i * VECTOR, load(get('weights'), i * VECTOR))),
    advance('weights', int(count * VECTOR)),
  ].join('\n');
}

interface Window {
  /** Points at the first input of the first pixel. */
  readonly row: string;
  readonly taps: number;
  /** Pixels filtered at once. */
  readonly pixels: number;
  /** For each map that tap `x` adds to: its weight, and the sum of pixel `p`. */
  readonly maps: (x: number) => readonly { readonly weight: string; readonly sum: (p: number) => string }[];
}

/** Adds one row of taps to the sums. Uses the locals input0…, weight. */
function slide({ row, taps, pixels, maps }: Window, multiplyAdd: MultiplyAdd): string {
  const input = (x: number): string => `input${x % pixels}`;
  return [
    repeat(pixels - 1, (x) => set(input(x), load(get(row), x * VECTOR))),
    repeat(taps, (x) => {
      const last = x + pixels - 1;
      return [
        set(input(last), load(get(row), last * VECTOR)),
        ...maps(x).flatMap(({ weight, sum }) => [
          set('weight', weight),
          repeat(pixels, (p) => set(sum(p), multiplyAdd(get(input(x + p)), get('weight'), get(sum(p))))),
        ]),
      ].join('\n');
    }),
  ].join('\n');
}

/** Moves pointers on by `pixels`. */
const nextPixels = (pixels: number, pointers: readonly string[]): string =>
  pointers.map((pointer) => advance(pointer, int(pixels * VECTOR))).join('\n');

/**
 * `depthwise(row0, row1, row2, plane, weights, target, targetPlane, blocks, pixels)`: 3×3 over every channel; for four
 * channels the weights are the bias and nine taps. Twice four sums: the middle row has its own, which hides latency.
 */
export function depthwise(multiplyAdd: MultiplyAdd): string {
  const PIXELS = 4;
  const sum = (ky: number, p: number): string => `sum${(ky % 2) * PIXELS + p}`;
  const pointers = ['in0', 'in1', 'in2', 'out'];
  const parameters = ['row0', 'row1', 'row2', 'plane', 'weights', 'target', 'targetPlane', 'blocks', 'pixels'];
  const locals = {
    i32: [...pointers, 'left'],
    v128: [...names('sum', 2 * PIXELS), ...names('input', PIXELS), 'weight'],
  };
  return func('depthwise', parameters, locals, [
    countDown('blocks', 1, [
      copyWeights(10),
      repeat(3, (i) => set(`in${i}`, get(`row${i}`))),
      set('out', get('target')),
      set('left', get('pixels')),
      countDown('left', PIXELS, [
        repeat(PIXELS, (p) => [set(sum(0, p), copied(0)), set(sum(1, p), ZERO)].join('\n')),
        repeat(3, (ky) =>
          slide(
            {
              row: `in${ky}`,
              taps: 3,
              pixels: PIXELS,
              maps: (kx) => [{ weight: copied(1 + ky * 3 + kx), sum: (p) => sum(ky, p) }],
            },
            multiplyAdd,
          ),
        ),
        repeat(PIXELS, (p) => store(get('out'), p * VECTOR, f32x4('add', get(sum(0, p)), get(sum(1, p))))),
        nextPixels(PIXELS, pointers),
      ]),
      repeat(3, (i) => advance(`row${i}`, get('plane'))),
      advance('target', get('targetPlane')),
    ]),
  ]);
}

/** The first-order map and the factors of four products, as they are summed: two pixels of five, then of four maps. */
const VOLTERRA_MAPS = 9;
const VOLTERRA_GROUPS = [
  [0, 1, 2, 3, 4],
  [5, 6, 7, 8],
] as const;

/**
 * `volterra(row0, row1, row2, plane, half, weights, target, targetPlane, blocks, pixels)`: map 0 plus the products of maps
 * 1·2, 3·4, 5·6 and 7·8, each a 3×3 filter over two channels: one of the first half of the planes, and the one `half`
 * bytes behind it. For four channels the weights are nine biases and, for each half and tap, nine vectors.
 */
export function volterra(multiplyAdd: MultiplyAdd): string {
  const PIXELS = 2;
  const sum = (m: number, p: number): string => `sum${m * PIXELS + p}`;
  const pointers = [...names('first', 3), ...names('second', 3), 'out'];
  const parameters = ['row0', 'row1', 'row2', 'plane', 'half', 'weights', 'target', 'targetPlane', 'blocks', 'pixels'];
  const locals = {
    i32: [...pointers, 'left'],
    v128: [...names('sum', 5 * PIXELS), ...names('input', PIXELS), ...names('total', PIXELS), 'weight'],
  };
  const taps = (group: readonly number[], channel: number, ky: number): string =>
    slide(
      {
        row: `${channel === 0 ? 'first' : 'second'}${ky}`,
        taps: 3,
        pixels: PIXELS,
        maps: (kx) =>
          group.map((map, m) => ({
            weight: copied(VOLTERRA_MAPS * (1 + (channel * 3 + ky) * 3 + kx) + map),
            sum: (p) => sum(m, p),
          })),
      },
      multiplyAdd,
    );
  const product = (p: number, m: number, onto: string): string => multiplyAdd(get(sum(m, p)), get(sum(m + 1, p)), onto);
  const filtered = VOLTERRA_GROUPS.map((group, g) => [
    group.map((map, m) => repeat(PIXELS, (p) => set(sum(m, p), copied(map)))).join('\n'),
    repeat(2, (channel) => repeat(3, (ky) => taps(group, channel, ky))),
    repeat(PIXELS, (p) =>
      g === 0
        ? set(`total${p}`, product(p, 1, product(p, 3, get(sum(0, p)))))
        : store(get('out'), p * VECTOR, product(p, 0, product(p, 2, get(`total${p}`)))),
    ),
  ]);
  return func('volterra', parameters, locals, [
    countDown('blocks', 1, [
      copyWeights(VOLTERRA_MAPS * 19),
      repeat(3, (i) =>
        [set(`first${i}`, get(`row${i}`)), set(`second${i}`, add(get(`row${i}`), get('half')))].join('\n'),
      ),
      set('out', get('target')),
      set('left', get('pixels')),
      countDown('left', PIXELS, [...filtered.flat(), nextPixels(PIXELS, pointers)]),
      repeat(3, (i) => advance(`row${i}`, get('plane'))),
      advance('target', get('targetPlane')),
    ]),
  ]);
}

/**
 * `routed(rows, plane, weights, target0, target1, targetPlane, blocks, pixels)`: 9×9 over every channel, for two output rows at
 * once. rows: addresses of ten pointers. For four channels the weights are the bias and 81 taps. The first and the last input row
 * serve one output row each: the sums that are idle then take every other tap.
 */
export function routed(multiplyAdd: MultiplyAdd): string {
  const PIXELS = 4;
  const TAPS = 9;
  const ROW = TAPS * VECTOR;
  const sum = (output: number, p: number): string => `sum${output * PIXELS + p}`;
  const tap = (row: string, kx: number): string => load(get(row), kx * VECTOR);
  const bias = load(get('weights'));
  const nextRow = (maps: Window['maps']): string =>
    [
      set('in', add(loadInt(get('list')), get('at'))),
      advance('list', int(4)),
      slide({ row: 'in', taps: TAPS, pixels: PIXELS, maps }, multiplyAdd),
    ].join('\n');
  const each = (write: (p: number) => string): string => repeat(PIXELS, write);
  const folded = (p: number): string => f32x4('add', get(sum(0, p)), get(sum(1, p)));
  const alternating = (kx: number): ReturnType<Window['maps']> => [
    { weight: tap('taps', kx), sum: (p) => sum(kx % 2, p) },
  ];
  const parameters = ['rows', 'plane', 'weights', 'target0', 'target1', 'targetPlane', 'blocks', 'pixels'];
  const pointers = ['at', 'out0', 'out1'];
  const locals = {
    i32: [...pointers, 'start', 'in', 'list', 'taps', 'before', 'left', 'both'],
    v128: [...names('sum', 2 * PIXELS), ...names('input', PIXELS), 'weight'],
  };
  return func('routed', parameters, locals, [
    countDown('blocks', 1, [
      set('at', get('start')),
      set('out0', get('target0')),
      set('out1', get('target1')),
      set('left', get('pixels')),
      countDown('left', PIXELS, [
        set('list', get('rows')),
        set('taps', add(get('weights'), int(VECTOR))),
        each((p) => [set(sum(0, p), bias), set(sum(1, p), ZERO)].join('\n')),
        nextRow(alternating),
        each((p) => [set(sum(0, p), folded(p)), set(sum(1, p), bias)].join('\n')),
        set('both', int(TAPS - 1)),
        countDown('both', 1, [
          set('before', get('taps')),
          advance('taps', int(ROW)),
          nextRow((kx) => [
            { weight: tap('taps', kx), sum: (p) => sum(0, p) },
            { weight: tap('before', kx), sum: (p) => sum(1, p) },
          ]),
        ]),
        each((p) => [store(get('out0'), p * VECTOR, get(sum(0, p))), set(sum(0, p), ZERO)].join('\n')),
        nextRow(alternating),
        each((p) => store(get('out1'), p * VECTOR, folded(p))),
        nextPixels(PIXELS, pointers),
      ]),
      advance('weights', int((1 + TAPS * TAPS) * VECTOR)),
      advance('start', get('plane')),
      advance('target0', get('targetPlane')),
      advance('target1', get('targetPlane')),
    ]),
  ]);
}

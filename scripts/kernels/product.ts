/**
 * Matrix products: every 1×1 convolution, and every dense one whose inputs a table of offsets gathers.
 *
 * A row of pixels is taken in blocks of 6 or 4 pixels, its inputs in chunks of PANEL_VECTORS vectors of four channels. A
 * chunk is copied to the panel (scratch.ts); then every pair of output vectors is updated with sums in registers. 6×2
 * sums hide the latency of the multiplications, and with two weights and one input they fill the registers of x64.
 */
import { PANEL_ADDRESS, PANEL_VECTORS } from '../../shared/kernels/scratch.ts';
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
  loadSplat,
  multiply,
  names,
  ORIGIN,
  repeat,
  set,
  store,
  VECTOR,
  type MultiplyAdd,
} from './wat.ts';

/** Outputs that are summed at once, in vectors. */
const PAIR = 2;
/** Weights of one chunk and one pair: a bias, and one vector for each of the chunk's channels, all times two. */
export const PAIR_VECTORS = (1 + PANEL_VECTORS * 4) * PAIR;

const BLOCKS = [6, 4] as const;
type Block = (typeof BLOCKS)[number];

/** `scaled`: each input vector is multiplied by one of `scale`. `strided`: every other pixel is taken. */
const GATHERS = ['plain', 'scaled', 'strided'] as const;
type Gather = (typeof GATHERS)[number];

function gather(block: Block, kind: Gather): string {
  const step = kind === 'strided' ? 2 * VECTOR : VECTOR;
  const copyVector = (v: number): string => {
    const value = (p: number): string => load(get('from'), p * step);
    return [
      set('from', add(get('source'), loadInt(get('table'), v * 4))),
      // A scale lies in the first of four pixels.
      kind === 'scaled' ? set('factor', load(get('scale'), v * 4 * VECTOR)) : '',
      repeat(block, (p) =>
        store(
          ORIGIN,
          PANEL_ADDRESS + (v * block + p) * VECTOR,
          kind === 'scaled' ? f32x4('mul', value(p), get('factor')) : value(p),
        ),
      ),
    ].join('\n');
  };
  const parameters = ['table', 'source', 'scale'];
  return func(`gather-${kind}-${block}`, parameters, { i32: ['from'], v128: ['factor'] }, [
    repeat(PANEL_VECTORS, copyVector),
  ]);
}

/** target[2·pairs vectors][block pixels] = bias + panel·weights, on top of what is there if `keep`. */
function multiplyPanel(block: Block, multiplyAdd: MultiplyAdd): string {
  const sum = (p: number, o: number): string => `sum${p * PAIR + o}`;
  const eachSum = (write: (p: number, o: number) => string): string =>
    repeat(PAIR, (o) => repeat(block, (p) => write(p, o)));
  const second = add(get('target'), get('plane'));
  const channel = (k: number): string =>
    [
      repeat(PAIR, (o) => set(`weight${o}`, load(get('weights'), ((k + 1) * PAIR + o) * VECTOR))),
      repeat(block, (p) => {
        const address = PANEL_ADDRESS + ((k >> 2) * block + p) * VECTOR + (k % 4) * 4;
        return [
          set('input', loadSplat(ORIGIN, address)),
          repeat(PAIR, (o) => set(sum(p, o), multiplyAdd(get('input'), get(`weight${o}`), get(sum(p, o))))),
        ].join('\n');
      }),
    ].join('\n');
  const locals = { i32: ['other'], v128: [...names('sum', block * PAIR), ...names('weight', PAIR), 'input'] };
  return func(`multiply-${block}`, ['weights', 'target', 'plane', 'pairs', 'keep'], locals, [
    countDown('pairs', 1, [
      set('other', second),
      repeat(PAIR, (o) => set(`weight${o}`, load(get('weights'), o * VECTOR))),
      `(if ${get('keep')} (then`,
      eachSum((p, o) =>
        set(sum(p, o), f32x4('add', get(`weight${o}`), load(get(o === 0 ? 'target' : 'other'), p * VECTOR))),
      ),
      ') (else',
      eachSum((p, o) => set(sum(p, o), get(`weight${o}`))),
      '))',
      repeat(PANEL_VECTORS * 4, channel),
      eachSum((p, o) => store(get(o === 0 ? 'target' : 'other'), p * VECTOR, get(sum(p, o)))),
      set('target', add(get('other'), get('plane'))),
      advance('weights', int(PAIR_VECTORS * VECTOR)),
    ]),
  ]);
}

function blocks(block: Block, kind: Gather): string {
  const step = kind === 'strided' ? 2 : 1;
  return func(`blocks-${kind}-${block}`, [...ROW_PARAMETERS, 'count'], { i32: ROW_LOCALS }, [
    countDown('count', 1, [
      set('offsets', get('table')),
      set('part', get('weights')),
      set('factors', get('scale')),
      set('on', get('keep')),
      set('left', get('chunks')),
      countDown('left', 1, [
        `(call $gather-${kind}-${block} ${get('offsets')} ${get('source')} ${get('factors')})`,
        `(call $multiply-${block} ${['part', 'target', 'plane', 'pairs', 'on'].map(get).join(' ')})`,
        advance('offsets', int(PANEL_VECTORS * 4)),
        advance('part', multiply(get('pairs'), int(PAIR_VECTORS * VECTOR))),
        advance('factors', int(PANEL_VECTORS * 4 * VECTOR)),
        set('on', int(1)),
      ]),
      advance('source', int(block * VECTOR * step)),
      advance('target', int(block * VECTOR)),
    ]),
  ]);
}

const ROW_PARAMETERS = ['table', 'chunks', 'source', 'scale', 'weights', 'target', 'plane', 'pairs', 'keep'];
const ROW_LOCALS = ['offsets', 'part', 'factors', 'on', 'left'];

/**
 * `product-<gather>(table, chunks, source, scale, weights, target, plane, pairs, keep, sixes, fours)`: one row.
 * table: i32 offsets from `source` of the input vectors' first pixels, PANEL_VECTORS for each chunk. plane: bytes
 * between two output vectors of a pixel. keep: 1 adds to the target. sixes, fours: how many blocks of 6 and 4 pixels.
 */
function row(kind: Gather): string {
  const step = kind === 'strided' ? 2 : 1;
  const call = (block: Block, count: string): string =>
    `(if ${get(count)} (then (call $blocks-${kind}-${block} ${ROW_PARAMETERS.map(get).join(' ')} ${get(count)})))`;
  return func(`product-${kind}`, [...ROW_PARAMETERS, 'sixes', 'fours'], {}, [
    call(6, 'sixes'),
    advance('source', multiply(get('sixes'), int(6 * VECTOR * step))),
    advance('target', multiply(get('sixes'), int(6 * VECTOR))),
    call(4, 'fours'),
  ]);
}

export function products(multiplyAdd: MultiplyAdd): string[] {
  return [
    ...BLOCKS.map((block) => multiplyPanel(block, multiplyAdd)),
    ...GATHERS.flatMap((kind) => [...BLOCKS.flatMap((block) => [gather(block, kind), blocks(block, kind)]), row(kind)]),
  ];
}

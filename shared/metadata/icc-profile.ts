/** Small ICC profiles (ICC.1:2022, version 4.3): a matrix and a curve, or a curve alone. */
import { concat, latin1, u32be } from './bytes.ts';

/** x and y of white, red, green and blue. */
export type Primaries = readonly [number, number, number, number, number, number, number, number];

/** From the stored number V to light: (a·V + b)^gamma from d on, c·V below (§ 10.18, type 3); V^gamma without a to d. */
export interface Curve {
  readonly gamma: number;
  readonly a?: number;
  readonly b?: number;
  readonly c?: number;
  readonly d?: number;
}

type Vector = readonly [number, number, number];
type Matrix = readonly [Vector, Vector, Vector];

/** The connection space's white (§ 7.2.16). */
const D50: Vector = [0.9642, 1, 0.8249];

const BRADFORD: Matrix = [
  [0.8951, 0.2664, -0.1614],
  [-0.7502, 1.7135, 0.0367],
  [0.0389, -0.0685, 1.0296],
];

interface Tag {
  readonly signature: string;
  readonly data: Uint8Array;
}

export function matrixProfile(primaries: Primaries, curve: Curve): Uint8Array {
  return profileWithCurve(primaries, parametricCurve(curve));
}

export function greyProfile(curve: Curve): Uint8Array {
  return profile('GRAY', [...commonTags('Grey'), { signature: 'kTRC', data: parametricCurve(curve) }]);
}

/**
 * An RGB profile that shows equal numbers as a grey profile shows one of them, for formats without grey.
 * @returns undefined when the grey profile has no curve, and so shows nothing
 */
export function rgbProfileOfGrey(grey: Uint8Array, primaries: Primaries): Uint8Array | undefined {
  const curve = tagData(grey, 'kTRC');
  return curve === undefined ? undefined : profileWithCurve(primaries, curve);
}

function profileWithCurve(primaries: Primaries, curve: Uint8Array): Uint8Array {
  const [xw, yw, xr, yr, xg, yg, xb, yb] = primaries;
  const white = xyzOf(xw, yw);
  const columns = [xyzOf(xr, yr), xyzOf(xg, yg), xyzOf(xb, yb)] as const;
  // How much of each primary makes white.
  const amounts = multiply(inverse(transpose(columns)), white);
  const adaptation = adaptationTo(D50, white);
  const names = ['r', 'g', 'b'] as const;
  return profile('RGB ', [
    ...commonTags('RGB'),
    { signature: 'chad', data: concat([latin1('sf32\0\0\0\0'), ...adaptation.flat().map(fixed)]) },
    ...columns.map((column, i) => ({
      signature: `${names[i]}XYZ`,
      data: xyzTag(multiply(adaptation, scale(column, amounts[i]!))),
    })),
    ...names.map((name) => ({ signature: `${name}TRC`, data: curve })),
  ]);
}

function commonTags(description: string): Tag[] {
  return [
    { signature: 'desc', data: text(description) },
    { signature: 'cprt', data: text('No copyright, use freely') },
    { signature: 'wtpt', data: xyzTag(D50) },
  ];
}

/** § 7.2 and § 7.3: header, table of tags, their data at multiples of four bytes. Equal data is written once. */
function profile(space: 'RGB ' | 'GRAY', tags: readonly Tag[]): Uint8Array {
  const tableBytes = 4 + 12 * tags.length;
  const offsets = new Map<Uint8Array, number>();
  const parts: Uint8Array[] = [];
  let at = 128 + tableBytes;
  for (const { data } of tags) {
    if (offsets.has(data)) continue;
    offsets.set(data, at);
    const padded = new Uint8Array(Math.ceil(data.length / 4) * 4);
    padded.set(data);
    parts.push(padded);
    at += padded.length;
  }
  const table = tags.map(({ signature, data }) =>
    concat([latin1(signature), u32be(offsets.get(data)!), u32be(data.length)]),
  );
  return concat([header(at, space), u32be(tags.length), ...table, ...parts]);
}

function header(size: number, space: string): Uint8Array {
  const out = new Uint8Array(128);
  out.set(u32be(size), 0);
  out.set(u32be(0x04_30_00_00), 8);
  out.set(latin1(`mntr${space}XYZ `), 12);
  // A date, which must be valid: 1 January 2000.
  out.set([0x07, 0xd0, 0, 1, 0, 1], 24);
  out.set(latin1('acsp'), 36);
  out.set(concat(D50.map(fixed)), 68);
  return out;
}

/** § 10.15, one English text. */
function text(value: string): Uint8Array {
  const utf16 = Uint8Array.from([...value].flatMap((character) => [0, character.charCodeAt(0)]));
  const record = concat([latin1('enUS'), u32be(utf16.length), u32be(28)]);
  return concat([latin1('mluc\0\0\0\0'), u32be(1), u32be(12), record, utf16]);
}

function xyzTag(xyz: Vector): Uint8Array {
  return concat([latin1('XYZ \0\0\0\0'), ...xyz.map(fixed)]);
}

function parametricCurve({ gamma, a, b, c, d }: Curve): Uint8Array {
  const simple = a === undefined || b === undefined || c === undefined || d === undefined;
  const values = simple ? [gamma] : [gamma, a, b, c, d];
  return concat([latin1('para\0\0\0\0'), Uint8Array.of(0, simple ? 0 : 3, 0, 0), ...values.map(fixed)]);
}

/** s15Fixed16Number. */
function fixed(value: number): Uint8Array {
  return u32be(Math.round(Math.min(32_767, Math.max(-32_768, value)) * 65_536) >>> 0);
}

/** The data of a tag of any profile; undefined without it, or when it lies outside. */
function tagData(icc: Uint8Array, signature: string): Uint8Array | undefined {
  const view = new DataView(icc.buffer, icc.byteOffset, icc.byteLength);
  const wanted = new DataView(latin1(signature).buffer as ArrayBuffer).getUint32(0);
  const count = Math.min(view.getUint32(128), Math.floor((icc.length - 132) / 12));
  for (let i = 0; i < count; i++) {
    const entry = 132 + 12 * i;
    if (view.getUint32(entry) !== wanted) continue;
    const [at, length] = [view.getUint32(entry + 4), view.getUint32(entry + 8)];
    return at + length <= icc.length && length >= 12 ? icc.slice(at, at + length) : undefined;
  }
  return undefined;
}

function xyzOf(x: number, y: number): Vector {
  return y === 0 ? [0, 0, 0] : [x / y, 1, (1 - x - y) / y];
}

/** Bradford's adaptation from one white to another (ICC.1 annex E). */
function adaptationTo(target: Vector, source: Vector): Matrix {
  const to = multiply(BRADFORD, target);
  const from = multiply(BRADFORD, source);
  const gains = BRADFORD.map((row, i) => scale(row, to[i]! / from[i]!)) as unknown as Matrix;
  const back = inverse(BRADFORD);
  const columns = transpose(gains);
  return transpose(columns.map((column) => multiply(back, column)) as unknown as Matrix);
}

function multiply(matrix: Matrix, vector: Vector): Vector {
  return matrix.map((row) => row[0] * vector[0] + row[1] * vector[1] + row[2] * vector[2]) as unknown as Vector;
}

function scale([x, y, z]: Vector, factor: number): Vector {
  return [x * factor, y * factor, z * factor];
}

function transpose([a, b, c]: Matrix): Matrix {
  return [
    [a[0], b[0], c[0]],
    [a[1], b[1], c[1]],
    [a[2], b[2], c[2]],
  ];
}

/** A singular matrix, of chromaticities on one line, gives the identity. */
function inverse([[a, b, c], [d, e, f], [g, h, i]]: Matrix): Matrix {
  const determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  if (Math.abs(determinant) < 1e-9)
    return [
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ];
  const adjugate: Matrix = [
    [e * i - f * h, c * h - b * i, b * f - c * e],
    [f * g - d * i, a * i - c * g, c * d - a * f],
    [d * h - e * g, b * g - a * h, a * e - b * d],
  ];
  return adjugate.map((row) => scale(row, 1 / determinant)) as unknown as Matrix;
}

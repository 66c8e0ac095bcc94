/**
 * What a file says of the meaning of its numbers without an ICC profile: CICP numbers (ITU-T H.273) or gamma and chromaticities. Each
 * format has its own place for it; sRGB is what everybody assumes, and is left unsaid.
 */
import type { Cicp } from '../image-header/av1.ts';
import { greyProfile, matrixProfile, type Curve, type Primaries } from './icc-profile.ts';

/** PNG's gAMA and cHRM (PNG, third edition, § 11.3.2): 0.45455 and 0.3127 are written as 45455 and 31270. */
export interface GammaColour {
  /** The exponent with which the numbers were encoded. Undefined: as sRGB. */
  readonly gamma: number | undefined;
  /** White, red, green, blue: x and y of each. Undefined: as sRGB. */
  readonly chromaticities: readonly number[] | undefined;
}

export type Colour = ({ readonly kind: 'cicp' } & Cicp) | ({ readonly kind: 'gamma' } & GammaColour);

const UNIT = 100_000;

const SRGB = { primaries: 1, transfer: 13 } as const;
const UNSPECIFIED = 2;

const D65 = [0.3127, 0.329] as const;
const C = [0.31, 0.316] as const;

/** H.273 table 2: white, red, green and blue. */
const PRIMARIES: Readonly<Record<number, Primaries>> = {
  1: [...D65, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06],
  4: [...C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08],
  5: [...D65, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06],
  6: [...D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07],
  7: [...D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07],
  8: [...C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049],
  9: [...D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046],
  11: [0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06],
  12: [...D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06],
  22: [...D65, 0.63, 0.34, 0.295, 0.605, 0.155, 0.077],
};

const SRGB_CURVE: Curve = { gamma: 2.4, a: 1 / 1.055, b: 0.055 / 1.055, c: 1 / 12.92, d: 0.04045 };
const BT709_CURVE: Curve = { gamma: 1 / 0.45, a: 1 / 1.099, b: 0.099 / 1.099, c: 1 / 4.5, d: 0.081 };

/** H.273 table 3, from the stored number to light. */
const CURVES: Readonly<Record<number, Curve>> = {
  1: BT709_CURVE,
  4: { gamma: 2.2 },
  5: { gamma: 2.8 },
  6: BT709_CURVE,
  7: { gamma: 1 / 0.45, a: 1 / 1.1115, b: 0.1115 / 1.1115, c: 1 / 4, d: 0.0912 },
  8: { gamma: 1 },
  11: BT709_CURVE,
  12: BT709_CURVE,
  13: SRGB_CURVE,
  14: BT709_CURVE,
  15: BT709_CURVE,
  17: { gamma: 2.6 },
};

/** @returns undefined for sRGB, and for what is unspecified or unknown and so shown as sRGB */
export function colourOfCicp({ primaries, transfer }: Cicp): Colour | undefined {
  const known = {
    primaries: PRIMARIES[primaries] === undefined || primaries === UNSPECIFIED ? SRGB.primaries : primaries,
    transfer: CURVES[transfer] === undefined || transfer === UNSPECIFIED ? SRGB.transfer : transfer,
  };
  return known.primaries === SRGB.primaries && known.transfer === SRGB.transfer
    ? undefined
    : { kind: 'cicp', ...known };
}

/** The same of gAMA and cHRM, which many writers add to sRGB pictures: 1/2.2 is what sRGB is said to be near to. */
export function colourOfGamma({ gamma, chromaticities }: GammaColour): Colour | undefined {
  const srgb = PRIMARIES[SRGB.primaries]!;
  const sameGamma = gamma === undefined || gamma === 0 || Math.abs(gamma - 45_455) <= 50;
  const samePrimaries = chromaticities?.every((value, i) => Math.abs(value / UNIT - srgb[i]!) < 0.002) ?? true;
  return sameGamma && samePrimaries ? undefined : { kind: 'gamma', gamma, chromaticities };
}

/**
 * A profile that says the same, for formats that have nothing else.
 * @param grey of a picture without colours, for which only the curve counts
 */
export function profileOfColour(colour: Colour, grey: boolean): Uint8Array {
  const curve = curveOf(colour);
  return grey ? greyProfile(curve) : matrixProfile(primariesOf(colour), curve);
}

/** The primaries that grey does not need. */
export const SRGB_PRIMARIES: Primaries = PRIMARIES[SRGB.primaries]!;

function primariesOf(colour: Colour): Primaries {
  if (colour.kind === 'cicp') return PRIMARIES[colour.primaries] ?? SRGB_PRIMARIES;
  const stated = colour.chromaticities?.map((value) => value / UNIT);
  return stated?.length === SRGB_PRIMARIES.length ? (stated as unknown as Primaries) : SRGB_PRIMARIES;
}

function curveOf(colour: Colour): Curve {
  if (colour.kind === 'cicp') return CURVES[colour.transfer] ?? SRGB_CURVE;
  return colour.gamma === undefined ? SRGB_CURVE : { gamma: UNIT / colour.gamma };
}

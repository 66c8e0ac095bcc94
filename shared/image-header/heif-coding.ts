/** How the two kinds of HEIF code their pictures, and the properties that say so. */
import type { Box, Item } from './bmff.ts';

/** The boxes that describe an item. */
type Properties = Item['properties'];

export type HeifFormat = 'avif' | 'heic';

/** How the pictures of a format are coded, and with which configuration. */
export const HEIF_CODING = {
  avif: { item: 'av01', configuration: 'av1C', name: 'AV1' },
  heic: { item: 'hvc1', configuration: 'hvcC', name: 'HEVC' },
} as const;

export function property(properties: Properties, type: string): Box | undefined {
  return properties.find((box) => box.type === type);
}

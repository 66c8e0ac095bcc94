import { expect, it } from 'vitest';
import { fuzz } from './support/fuzz.ts';

/** The report of many more cases is made by `npm run fuzz`. */
const CASES = 2_000;

it('a changed file of any format is decoded, or refused with a code', async () => {
  const { outcomes, faults } = await fuzz(CASES, 20_261_128);
  expect(faults).toEqual([]);
  // Neither all refused at the door nor all harmless: both would test little.
  expect(outcomes['decoded']).toBeGreaterThan(CASES / 20);
  expect(outcomes['image_undecodable']).toBeGreaterThan(CASES / 20);
}, 120_000);

/** Reading single bits: AV1 and HEVC write their headers so. */
import { undecodable } from './byte-view.ts';

/** Bits of a payload, the highest of each byte first. */
export class Bits {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  flag(): boolean {
    return this.read(1) === 1;
  }

  read(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++, this.#at++) {
      const byte = this.#bytes[this.#at >> 3];
      if (byte === undefined) throw undecodable('The header of the coded picture is too short.');
      value = value * 2 + ((byte >> (7 - (this.#at & 7))) & 1);
    }
    return value;
  }

  skip(count: number): void {
    this.#at += count;
  }

  /** AV1 § 4.10.3. */
  skipUvlc(): void {
    let zeros = 0;
    while (zeros < 32 && !this.flag()) zeros++;
    this.skip(zeros);
  }

  /** ue(v) of H.265 § 9.2. */
  readExpGolomb(): number {
    let zeros = 0;
    while (zeros < 32 && !this.flag()) zeros++;
    return 2 ** zeros - 1 + this.read(zeros);
  }
}

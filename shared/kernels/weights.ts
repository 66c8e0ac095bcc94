/**
 * A trained network in linear memory, folded. Folded are the layer norms' scale and shift (into the product behind them),
 * β, γ, and the range of bytes. What each layer computes is defined by model-export/dhnet (model.py, vblock.py, ddre.py).
 */
import {
  packDepthwise,
  packProduct,
  packVolterra,
  range,
  VOLTERRA_MAPS,
  type DepthwiseFilter,
  type Product,
  type Reserve,
} from './pack-weights.ts';
import { Safetensors, unusable, type Widen } from './safetensors.ts';

const WHITE = 255;
/** Colours of a square of 2×2 pixels. */
const PLANES = 12;
/** Channels are taken so many at a time. */
const CHANNEL_STEP = 32;
const EXPERT_SIZES = [1, 3, 5, 7, 9] as const;
const LARGEST_EXPERT = 9;

export interface VolterraBlock {
  readonly kind: 'volterra';
  readonly expand: Product;
  readonly local: number;
  readonly filters: number;
  readonly attention: Product;
  readonly project: Product;
}

export interface RoutedBlock {
  readonly kind: 'routed';
  readonly fuse: Product;
  readonly router: Product;
  /** Five arrays of `expertVectors` vectors, one behind the other. */
  readonly experts: number;
  readonly expertVectors: number;
  readonly pointwise: Product;
}

export type Block = VolterraBlock | RoutedBlock;

export interface Weights {
  /** Channels at full resolution. */
  readonly width: number;
  readonly intro: Product;
  readonly encoders: readonly (readonly Block[])[];
  readonly downs: readonly Product[];
  readonly middle: readonly Block[];
  readonly ups: readonly Product[];
  readonly decoders: readonly (readonly Block[])[];
  readonly ending: Product;
}

/** @throws {DeblurError} `runner_unavailable` when the file is not of the architecture that the kernels compute */
export function loadWeights(bytes: Uint8Array, reserve: Reserve, widen: Widen): Weights {
  const file = new Safetensors(bytes, widen);
  const weights = new Loader(file, reserve).network();
  const [left] = file.left;
  if (left !== undefined) throw unusable(`the kernels know no layer ${left}`);
  return weights;
}

class Loader {
  readonly #file: Safetensors;
  readonly #reserve: Reserve;

  constructor(file: Safetensors, reserve: Reserve) {
    this.#file = file;
    this.#reserve = reserve;
  }

  network(): Weights {
    const [width = 0] = this.#file.shapeOf('intro.weight');
    if (width === 0 || width % CHANNEL_STEP !== 0) throw unusable(`a width of ${width} channels`);
    const levels = range(this.#count('downs'));
    const channels = levels.map((level) => width << level);
    const upwards = [...channels].reverse();
    return {
      width,
      intro: this.#edge('intro', width, PLANES, 1 / WHITE, 1),
      encoders: levels.map((level) => this.#blocks(`encoders.${level}`, channels[level]!)),
      downs: levels.map((level) => this.#down(`downs.${level}`, channels[level]!)),
      middle: this.#blocks('middle', width << levels.length),
      ups: levels.map((level) => this.#up(`ups.${level}`, upwards[level]!)),
      decoders: levels.map((level) => this.#blocks(`decoders.${level}`, upwards[level]!)),
      ending: this.#edge('ending', PLANES, width, WHITE, WHITE),
    };
  }

  /** How many numbered children a name has. */
  #count(name: string): number {
    const depth = name.split('.').length;
    const children = this.#file.left.filter((key) => key.startsWith(`${name}.`)).map((key) => key.split('.')[depth]);
    return new Set(children).size;
  }

  /** A 3×3 convolution at an end of the network. */
  #edge(name: string, outputs: number, channels: number, scale: number, biasScale: number): Product {
    return packProduct(this.#reserve, {
      outputs,
      inputs: channels * 9,
      weights: this.#file.take(`${name}.weight`, [outputs, channels, 3, 3]),
      bias: this.#file.take(`${name}.bias`, [outputs]).map((value) => value * biasScale),
      columns: byTaps(channels, 9),
      rowScale: new Float32Array(outputs).fill(scale),
    });
  }

  #blocks(name: string, channels: number): Block[] {
    return range(this.#count(name)).map((i) => this.#block(`${name}.${i}`, channels));
  }

  #block(name: string, channels: number): Block {
    return this.#file.has(`${name}.fuse.weight`) ? this.#routed(name, channels) : this.#volterra(name, channels);
  }

  #volterra(name: string, channels: number): VolterraBlock {
    const file = this.#file;
    const order = pairsApart(channels);
    const filters = `${name}.volterra.filters`;
    const maps = channels * VOLTERRA_MAPS;
    return {
      kind: 'volterra',
      expand: this.#expand(name, channels, order),
      local: packDepthwise(this.#reserve, [this.#filter(`${name}.local`, 2 * channels, 3)], 3, order),
      filters: packVolterra(
        this.#reserve,
        file.take(`${filters}.weight`, [maps, 2, 3, 3]),
        file.take(`${filters}.bias`, [maps]),
        channels,
      ),
      attention: this.#pointwise(`${name}.attention`, channels, channels),
      project: this.#pointwise(`${name}.project`, channels, channels, file.take(`${name}.beta`, [1, channels, 1, 1])),
    };
  }

  /** The 1×1 convolution behind a layer norm. */
  #expand(name: string, channels: number, rows: readonly number[]): Product {
    const weights = this.#file.take(`${name}.expand.weight`, [2 * channels, channels, 1, 1]);
    const bias = this.#file.take(`${name}.expand.bias`, [2 * channels]);
    const shift = this.#file.take(`${name}.norm.bias`, [channels]);
    for (let o = 0; o < bias.length; o++) {
      for (let i = 0; i < channels; i++) bias[o]! += weights[o * channels + i]! * shift[i]!;
    }
    const columnScale = this.#file.take(`${name}.norm.weight`, [channels]);
    return packProduct(this.#reserve, {
      outputs: 2 * channels,
      inputs: channels,
      weights,
      bias,
      rows,
      columnScale,
    });
  }

  #routed(name: string, channels: number): RoutedBlock {
    const experts = EXPERT_SIZES.map((size, j) => this.#filter(`${name}.depthwise.${j}`, channels, size));
    const gamma = this.#file.take(`${name}.gamma`, [1, channels, 1, 1]);
    return {
      kind: 'routed',
      fuse: this.#pointwise(`${name}.fuse`, channels, channels),
      router: this.#pointwise(`${name}.router`, EXPERT_SIZES.length, channels),
      experts: packDepthwise(this.#reserve, experts, LARGEST_EXPERT, range(channels)),
      expertVectors: (channels / 4) * (1 + LARGEST_EXPERT ** 2),
      pointwise: this.#pointwise(`${name}.pointwise`, channels, channels, gamma),
    };
  }

  #filter(name: string, channels: number, size: number): DepthwiseFilter {
    const weights = this.#file.take(`${name}.weight`, [channels, 1, size, size]);
    return { size, weights, bias: this.#file.take(`${name}.bias`, [channels]) };
  }

  #pointwise(name: string, outputs: number, inputs: number, rowScale?: Float32Array): Product {
    const weights = this.#file.take(`${name}.weight`, [outputs, inputs, 1, 1]);
    const bias = this.#file.take(`${name}.bias`, [outputs]).map((value, o) => value * (rowScale?.[o] ?? 1));
    return packProduct(this.#reserve, { outputs, inputs, weights, bias, rowScale });
  }

  /** 2×2 with stride 2; it doubles the channels. */
  #down(name: string, channels: number): Product {
    return packProduct(this.#reserve, {
      outputs: 2 * channels,
      inputs: 4 * channels,
      weights: this.#file.take(`${name}.weight`, [2 * channels, channels, 2, 2]),
      bias: this.#file.take(`${name}.bias`, [2 * channels]),
      columns: byTaps(channels, 4),
    });
  }

  /** To `channels` for each of the four places of the PixelShuffle behind it; they lie place by place here. */
  #up(name: string, channels: number): Product {
    return packProduct(this.#reserve, {
      outputs: 4 * channels,
      inputs: 2 * channels,
      weights: this.#file.take(`${name}.weight`, [4 * channels, 2 * channels, 1, 1]),
      rows: range(4 * channels).map((i) => (i % channels) * 4 + Math.floor(i / channels)),
    });
  }
}

/** Channels 2i and 2i + 1, which a Volterra filter reads together, become i and i + channels. */
function pairsApart(channels: number): number[] {
  return range(2 * channels).map((i) => (i < channels ? 2 * i : 2 * (i - channels) + 1));
}

/** [channels, taps] → tap by tap, all channels of one tap together. */
function byTaps(channels: number, taps: number): number[] {
  return range(channels * taps).map((i) => (i % channels) * taps + Math.floor(i / channels));
}

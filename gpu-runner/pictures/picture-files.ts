/** Pixels → the files that were asked for, with the source's metadata. PNG is written while the picture is being restored. */
import { ownFormat } from '@deblur/shared/protocol/accept.ts';
import type { EncodeOptions, OutputFormat } from '@deblur/shared/protocol/options.ts';
import type { ImageHeader } from '@deblur/shared/image-header/index.ts';
import { carriedMetadata, withoutColour, writeMetadata, type Metadata } from '@deblur/shared/metadata/index.ts';
import type { RawImage } from '@deblur/shared/pixels/raw-image.ts';
import { LARGE_PIXELS } from '../limits.ts';
import type { PictureRequest } from './picture-messages.ts';
import { encodePng, PngEncoder } from './png-encoder.ts';
import type { CodecSteps } from './codec-steps.ts';

export interface WrittenFiles {
  readonly master: Uint8Array | undefined;
  readonly result: Uint8Array | undefined;
}

type WantedFiles = Pick<PictureRequest, 'encoding' | 'wantMaster' | 'wantResult'>;

export interface PictureSource {
  readonly header: ImageHeader;
  readonly metadata: Metadata;
  readonly codec: CodecSteps;
}

export class PictureFiles {
  readonly format: OutputFormat;
  readonly #request: WantedFiles;
  readonly #header: ImageHeader;
  readonly #metadata: Metadata;
  readonly #codec: CodecSteps;
  /** Where a PNG was asked for, as master or as result. */
  readonly #png: PngEncoder | undefined;
  #pngFile: Promise<Uint8Array> | undefined;

  constructor(request: WantedFiles, { header, metadata, codec }: PictureSource) {
    this.format = request.encoding.format ?? ownFormat(header.format, header);
    this.#request = request;
    this.#header = header;
    this.#metadata = metadata;
    this.#codec = codec;
    const wanted = request.wantMaster || (request.wantResult && this.format === 'png');
    this.#png = wanted ? new PngEncoder() : undefined;
  }

  /**
   * Lines up to `until` are final: a PNG has them already when tiles are still being restored. The last ones wait for
   * `written`, so that its time is what encoding adds to the time of restoring.
   */
  async lines(image: RawImage, until: number): Promise<void> {
    if (until < image.height) await this.#png?.write(image, until);
  }

  /** The files of a picture whose every line is final. */
  async written(image: RawImage): Promise<WrittenFiles> {
    const { encoding, wantMaster, wantResult } = this.#request;
    const resultIsMaster = wantMaster && this.format === 'png' && encoding.metadata === 'keep';
    const works = [
      async () => (wantMaster ? this.#file(image, { format: 'png', quality: 100, metadata: 'keep' }) : undefined),
      async () => (wantResult && !resultIsMaster ? this.#file(image, { ...encoding, format: this.format }) : undefined),
    ];
    const [master, result = wantResult ? master : undefined] = await (image.width * image.height > LARGE_PIXELS
      ? oneByOne(works)
      : Promise.all(works.map((work) => work())));
    return { master, result };
  }

  close(): void {
    this.#png?.close();
  }

  async #file(image: RawImage, options: EncodeOptions): Promise<Uint8Array> {
    const { format } = options;
    // WebP, and AVIF as libheif writes it, have no grey: what is written is RGB.
    const channels = format === 'webp' || format === 'avif' ? 3 : image.channels;
    const { width, height } = image;
    const carried = carriedMetadata(this.#metadata, options.metadata, {
      convertedToRgb: this.#header.cmyk,
      format,
      channels,
      size: { width, height },
    });
    const blocks = withoutColour(carried);
    if (format === 'avif' && Object.keys(blocks).length > 0) {
      const png = await writeMetadata(await this.#pngOf(image), 'png', blocks);
      const avif = await this.#codec.avifFromPng(png, blocks, options.quality);
      return owned(await writeMetadata(avif, 'avif', carried));
    }
    const pixels = format === 'png' ? await this.#pngOf(image) : await this.#codec.encode(image, options);
    return owned(await writeMetadata(pixels, format, carried));
  }

  /** Made once: master and result may differ in their metadata only, and AVIF gets its metadata by way of a PNG. */
  #pngOf(image: RawImage): Promise<Uint8Array> {
    return (this.#pngFile ??= this.#png?.rest(image) ?? encodePng(image));
  }
}

/** Encoders of some formats hold several times the picture: of a large one, only one of them at a time. */
async function oneByOne<T>(works: readonly (() => Promise<T>)[]): Promise<T[]> {
  const results: T[] = [];
  for (const work of works) results.push(await work());
  return results;
}

/** In a buffer of its own, which may leave the thread; those of native code may not. */
function owned(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

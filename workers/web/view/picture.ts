/** The frame with the photo in it: alone while it is worked on, under the slider when there is a result. */
import type { State } from '../state.ts';
import { Comparison } from './comparison.ts';
import { BlobUrl, byId, show } from './dom.ts';

export class PictureView {
  readonly #frame = byId('frame', HTMLElement);
  readonly #original = byId('original', HTMLImageElement);
  readonly #restored = byId('restored', HTMLImageElement);
  readonly #noPreview = byId('no-preview', HTMLElement);
  readonly #comparison = new Comparison(this.#frame, this.#original);
  readonly #originalUrl = new BlobUrl();
  readonly #restoredUrl = new BlobUrl();

  constructor() {
    for (const image of [this.#original, this.#restored]) image.addEventListener('load', () => this.#setShape(image));
    this.#original.addEventListener('error', () => this.#setPreviewable(false));
    this.#original.addEventListener('load', () => this.#setPreviewable(true));
  }

  render({ phase }: State): void {
    const visible = phase.kind === 'working' || phase.kind === 'done';
    show(this.#frame, visible);
    if (!visible) return this.#release();
    this.#setSource(this.#original, this.#originalUrl.of(phase.photo.file));
    if (phase.kind !== 'done') return this.#hideRestored();
    const url = this.#restoredUrl.of(phase.outcome.picture);
    if (this.#restored.src === url) return;
    this.#setSource(this.#restored, url);
    // Shown when it can be painted at once: no flash of an empty layer over the photo.
    const reveal = (): void => {
      if (this.#restored.src === url) this.#reveal();
    };
    this.#restored.decode().then(reveal, reveal);
  }

  #setSource(image: HTMLImageElement, url: string): void {
    if (image.src !== url) image.src = url;
  }

  #reveal(): void {
    show(this.#restored, true);
    this.#comparison.open({ comparable: this.#original.hidden === false });
  }

  #hideRestored(): void {
    this.#comparison.close();
    show(this.#restored, false);
    this.#restored.removeAttribute('src');
    this.#restoredUrl.release();
  }

  #release(): void {
    this.#hideRestored();
    this.#original.removeAttribute('src');
    this.#originalUrl.release();
    this.#setPreviewable(true);
  }

  /** A picture that this browser cannot show (TIFF, HEIC) still gets its result, without a comparison. */
  #setPreviewable(previewable: boolean): void {
    show(this.#original, previewable);
    show(this.#noPreview, !previewable);
  }

  #setShape({ naturalWidth, naturalHeight }: HTMLImageElement): void {
    if (naturalWidth === 0 || naturalHeight === 0) return;
    this.#frame.style.setProperty('--width', String(naturalWidth));
    this.#frame.style.setProperty('--height', String(naturalHeight));
  }
}

/**
 * The slider between before and after, and the view at full size. The split belongs to the frame, not to the picture: at
 * full size the picture moves beneath it.
 */
import { byId, show } from './dom.ts';

const KEY_STEP = 1;
const KEY_LARGE_STEP = 10;
const PAN_STEP_PIXELS = 40;

export interface ComparisonOptions {
  /** False when the browser cannot show the original: then there is nothing to slide over. */
  readonly comparable: boolean;
}

export class Comparison {
  readonly #frame: HTMLElement;
  readonly #picture: HTMLImageElement;
  readonly #split = byId('split', HTMLElement);
  readonly #slider = byId('slider', HTMLInputElement);
  readonly #zoom = byId('zoom', HTMLElement);
  readonly #zoomFit = byId('zoom-fit', HTMLButtonElement);
  readonly #zoomFull = byId('zoom-full', HTMLButtonElement);
  readonly #pan = byId('pan', HTMLElement);
  /** Of the picture's centre from the frame's, in CSS pixels. */
  #offset = { x: 0, y: 0 };

  constructor(frame: HTMLElement, picture: HTMLImageElement) {
    this.#frame = frame;
    this.#picture = picture;
    this.#slider.addEventListener('input', () => this.#place());
    this.#slider.addEventListener('keydown', (event) => this.#onSliderKey(event));
    this.#zoomFit.addEventListener('click', () => this.#setFull(false));
    this.#zoomFull.addEventListener('click', () => this.#setFull(true));
    this.#pan.addEventListener('keydown', (event) => this.#onPanKey(event));
    this.#pan.addEventListener('pointerdown', (event) => this.#pan.setPointerCapture(event.pointerId));
    this.#pan.addEventListener('pointermove', (event) => {
      if (this.#pan.hasPointerCapture(event.pointerId)) this.#moveBy(event.movementX, event.movementY);
    });
    new ResizeObserver(() => this.#moveBy(0, 0)).observe(frame);
  }

  open({ comparable }: ComparisonOptions): void {
    show(this.#split, comparable);
    show(this.#zoom, comparable);
    this.#slider.value = comparable ? '50' : '0';
    this.#place();
    this.#setFull(false);
    if (!comparable) return;
    this.#frame.classList.add('revealing');
    this.#frame.addEventListener('animationend', () => this.#frame.classList.remove('revealing'), { once: true });
    // The button that started the work is gone; without this the keyboard would start again from the top.
    if (document.activeElement === document.body || document.activeElement === null) {
      this.#slider.focus({ preventScroll: true });
    }
  }

  close(): void {
    show(this.#split, false);
    show(this.#zoom, false);
    this.#setFull(false);
  }

  #place(): void {
    this.#frame.classList.remove('revealing');
    const { value } = this.#slider;
    this.#frame.style.setProperty('--split', `${value}%`);
    this.#slider.setAttribute('aria-valuetext', `${Math.round(100 - Number(value))} % restored`);
    this.#frame.toggleAttribute('data-before-hidden', Number(value) < 12);
    this.#frame.toggleAttribute('data-after-hidden', Number(value) > 88);
  }

  /** The range's own step is a tenth, for smooth dragging; a key goes further. */
  #onSliderKey(event: KeyboardEvent): void {
    const direction = ARROWS[event.key];
    if (direction === undefined) return;
    event.preventDefault();
    const step = event.shiftKey ? KEY_LARGE_STEP : KEY_STEP;
    this.#slider.value = String(Number(this.#slider.value) + step * (direction.x - direction.y));
    this.#place();
  }

  #setFull(full: boolean): void {
    this.#frame.toggleAttribute('data-full', full);
    this.#zoomFull.setAttribute('aria-pressed', String(full));
    this.#zoomFit.setAttribute('aria-pressed', String(!full));
    this.#offset = { x: 0, y: 0 };
    this.#moveBy(0, 0);
    const [roomX, roomY] = this.#room();
    const movable = full && (roomX > 0 || roomY > 0);
    show(this.#pan, movable);
    this.#pan.tabIndex = movable ? 0 : -1;
    this.#pan.setAttribute('aria-label', 'Picture at full size; the arrow keys move it');
  }

  #onPanKey(event: KeyboardEvent): void {
    const direction = ARROWS[event.key];
    if (direction === undefined) return;
    event.preventDefault();
    this.#moveBy(-direction.x * PAN_STEP_PIXELS, -direction.y * PAN_STEP_PIXELS);
  }

  #moveBy(x: number, y: number): void {
    const [roomX, roomY] = this.#room();
    this.#offset = { x: clamp(this.#offset.x + x, roomX), y: clamp(this.#offset.y + y, roomY) };
    this.#frame.style.setProperty('--offset-x', `${this.#offset.x}px`);
    this.#frame.style.setProperty('--offset-y', `${this.#offset.y}px`);
  }

  /** How far the picture may leave the middle before its edge would come into the frame. */
  #room(): readonly [number, number] {
    const { naturalWidth, naturalHeight } = this.#picture;
    const { clientWidth, clientHeight } = this.#frame;
    return [Math.max(0, (naturalWidth - clientWidth) / 2), Math.max(0, (naturalHeight - clientHeight) / 2)];
  }
}

const ARROWS: Readonly<Record<string, { readonly x: number; readonly y: number } | undefined>> = {
  ArrowLeft: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
  ArrowUp: { x: 0, y: -1 },
  ArrowDown: { x: 0, y: 1 },
};

function clamp(value: number, room: number): number {
  return Math.min(room, Math.max(-room, value));
}

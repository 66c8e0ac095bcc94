/** Wheel, drag, pinch, double click and keys on the stage, told as changes of the view and of the split. */

export interface GestureTarget {
  readonly zoomAt: (factor: number, at: { x: number; y: number }) => void;
  readonly panBy: (dx: number, dy: number) => void;
  readonly toggleFull: (at: { x: number; y: number }) => void;
  /** Where the split is, in CSS pixels from the left; null when this view has none. */
  readonly split: () => number | null;
  readonly moveSplit: (x: number) => void;
  readonly isMovable: () => boolean;
  readonly canZoomOut: () => boolean;
}

const HANDLE_REACH_PX = 28;
const WHEEL_STEP = 0.0015;

interface Point {
  readonly x: number;
  readonly y: number;
}

/** Returns how to detach the listeners again. */
export function attachGestures(surface: HTMLElement, target: GestureTarget): () => void {
  const pointers = new Map<number, Point>();
  let drag: 'split' | 'pan' | null = null;
  const ending = new AbortController();
  const { signal } = ending;
  const pointOf = ({ clientX, clientY }: MouseEvent): Point => {
    const box = surface.getBoundingClientRect();
    return { x: clientX - box.left, y: clientY - box.top };
  };

  const onDown = (event: PointerEvent): void => {
    if (event.button !== 0 || (event.target as Element).closest('[data-control]') !== null) return;
    const point = pointOf(event);
    pointers.set(event.pointerId, point);
    surface.setPointerCapture(event.pointerId);
    const split = target.split();
    const onHandle = split !== null && Math.abs(split - point.x) <= HANDLE_REACH_PX;
    drag = onHandle ? 'split' : target.isMovable() ? 'pan' : split === null ? null : 'split';
    if (drag === 'split' && !onHandle && event.pointerType === 'mouse') target.moveSplit(point.x);
  };

  const onMove = (event: PointerEvent): void => {
    const before = pointers.get(event.pointerId);
    if (before === undefined) return;
    const point = pointOf(event);
    pointers.set(event.pointerId, point);
    if (pointers.size === 2) return pinch(event.pointerId, before, point);
    if (drag === 'split') target.moveSplit(point.x);
    if (drag === 'pan') target.panBy(point.x - before.x, point.y - before.y);
  };

  const pinch = (id: number, before: Point, now: Point): void => {
    const other = [...pointers].find(([key]) => key !== id)?.[1];
    if (other === undefined) return;
    const distance = (point: Point): number => Math.hypot(point.x - other.x, point.y - other.y);
    const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
    target.zoomAt(distance(now) / Math.max(1, distance(before)), middle);
    target.panBy((now.x - before.x) / 2, (now.y - before.y) / 2);
  };

  const onUp = (event: PointerEvent): void => {
    pointers.delete(event.pointerId);
    if (pointers.size === 0) drag = null;
  };

  const onWheel = (event: WheelEvent): void => {
    // Zooming out of a picture that is seen whole would do nothing: the page scrolls instead.
    if (event.deltaY > 0 && !target.canZoomOut()) return;
    event.preventDefault();
    target.zoomAt(Math.exp(-event.deltaY * WHEEL_STEP), pointOf(event));
  };

  surface.addEventListener('pointerdown', onDown, { signal });
  surface.addEventListener('pointermove', onMove, { signal });
  surface.addEventListener('pointerup', onUp, { signal });
  surface.addEventListener('pointercancel', onUp, { signal });
  surface.addEventListener('wheel', onWheel, { signal, passive: false });
  surface.addEventListener('dblclick', (event) => target.toggleFull(pointOf(event)), { signal });
  return () => ending.abort();
}

/** Which part of a picture is seen, and how large: pure geometry in CSS pixels and picture pixels. */

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface View {
  /** CSS pixels for each picture pixel. */
  readonly zoom: number;
  /** The point of the picture in the middle of the stage, in picture pixels. */
  readonly x: number;
  readonly y: number;
}

export interface Geometry {
  readonly stage: Size;
  readonly picture: Size;
  /** Device pixels for each CSS pixel: at 100 % one picture pixel is one device pixel. */
  readonly density: number;
}

const MIN_SHARE = 0.25;
const MAX_SHARE = 4;

/** The zoom at which the whole picture is seen; a small picture is enlarged up to 400 %. */
export function fitZoom({ stage, picture, density }: Geometry): number {
  return Math.min(MAX_SHARE / density, stage.width / picture.width, stage.height / picture.height);
}

export function fit(geometry: Geometry): View {
  const { picture } = geometry;
  return { zoom: fitZoom(geometry), x: picture.width / 2, y: picture.height / 2 };
}

/** A view within the limits: 25 to 400 %, and no emptiness where there is picture to show. */
export function clampView({ zoom, x, y }: View, geometry: Geometry): View {
  const { stage, picture, density } = geometry;
  const least = Math.min(fitZoom(geometry), MIN_SHARE / density);
  const most = Math.max(fitZoom(geometry), MAX_SHARE / density);
  const bounded = Math.min(most, Math.max(least, zoom));
  return {
    zoom: bounded,
    x: clampAxis(x, stage.width / bounded, picture.width),
    y: clampAxis(y, stage.height / bounded, picture.height),
  };
}

function clampAxis(middle: number, seen: number, length: number): number {
  if (seen >= length) return length / 2;
  return Math.min(length - seen / 2, Math.max(seen / 2, middle));
}

/** Zooms by a factor; the picture point under `at` (CSS pixels from the stage's corner) stays where it is. */
export function zoomAt(view: View, factor: number, at: { x: number; y: number }, geometry: Geometry): View {
  const { stage } = geometry;
  const dx = at.x - stage.width / 2;
  const dy = at.y - stage.height / 2;
  const { zoom } = clampView({ ...view, zoom: view.zoom * factor }, geometry);
  const x = view.x + dx / view.zoom - dx / zoom;
  const y = view.y + dy / view.zoom - dy / zoom;
  return clampView({ zoom, x, y }, geometry);
}

/** Moves the picture by CSS pixels. */
export function panBy(view: View, dx: number, dy: number, geometry: Geometry): View {
  return clampView({ ...view, x: view.x - dx / view.zoom, y: view.y - dy / view.zoom }, geometry);
}

export function isMovable({ zoom }: View, { stage, picture }: Geometry): boolean {
  return picture.width * zoom > stage.width + 0.5 || picture.height * zoom > stage.height + 0.5;
}

export function transformOf({ zoom, x, y }: View, { stage }: Geometry): string {
  return `translate(${stage.width / 2 - x * zoom}px, ${stage.height / 2 - y * zoom}px) scale(${zoom})`;
}

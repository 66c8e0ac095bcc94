/** The picture: before and after under a slider, side by side, or held; zoomed, moved, with a map of what changed. */
import type { VNode } from 'preact';
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { drawChangeMap } from '../app/change-map.ts';
import { attachGestures } from '../app/gestures.ts';
import {
  clampView,
  fit,
  fitZoom,
  isMovable,
  panBy,
  transformOf,
  zoomAt,
  type Geometry,
  type View,
} from '../app/viewport.ts';
import { text } from '../text/index.ts';

export type Mode = 'slider' | 'side' | 'single';

export interface StageProps {
  readonly name: string;
  /** Object URLs; null while there is none. */
  readonly before: string | null;
  readonly after: string | null;
  /** 0 to 1: how much of the change is shown. */
  readonly strength: number;
  readonly children?: VNode | null;
}

const KEY_PAN_PX = 60;
const KEY_ZOOM = 1.25;

export function Stage({ name, before, after, strength, children }: StageProps): VNode {
  const stage = useRef<HTMLDivElement>(null);
  const [beforeShown, setBeforeShown] = useState<HTMLImageElement | null>(null);
  const [afterShown, setAfterShown] = useState<HTMLImageElement | null>(null);
  const [unreadable, setUnreadable] = useState(false);
  const [mode, setMode] = useState<Mode>('slider');
  const [held, setHeld] = useState(false);
  const [mapped, setMapped] = useState(false);
  const [split, setSplit] = useState(50);
  useEffect(() => setUnreadable(false), [before]);
  useEffect(() => setAfterShown(null), [after]);

  const comparable = after !== null && !unreadable && before !== null;
  const shownMode: Mode = comparable ? mode : 'single';
  const picture = sizeOf(afterShown) ?? sizeOf(beforeShown);
  const { view, geometry, change, reset } = useView(stage, picture, shownMode === 'side' ? 2 : 1);
  useGestures(stage, { geometry, view, change, reset, split: shownMode === 'slider' ? split : null, setSplit });

  const transform = geometry === null ? undefined : transformOf(view, geometry);
  const percent = geometry === null ? 100 : Math.round(view.zoom * geometry.density * 100);
  const zoomBy = (factor: number): void => {
    if (geometry !== null)
      change(zoomAt(view, factor, { x: geometry.stage.width / 2, y: geometry.stage.height / 2 }, geometry));
  };
  const onKey = (event: KeyboardEvent): void => {
    if (geometry === null) return;
    if (event.key === '+' || event.key === '=') zoomBy(KEY_ZOOM);
    else if (event.key === '-') zoomBy(1 / KEY_ZOOM);
    else if (event.key === '0') reset();
    else if (event.key === '1') change(clampView({ ...view, zoom: 1 / geometry.density }, geometry));
    else if (ARROWS[event.key] !== undefined && isMovable(view, geometry)) {
      const [dx, dy] = ARROWS[event.key]!;
      change(panBy(view, dx * KEY_PAN_PX, dy * KEY_PAN_PX, geometry));
    } else return;
    event.preventDefault();
  };

  const shape = picture ?? { width: 16, height: 9 };
  const style = { '--width': shape.width, '--height': shape.height, '--split': `${split}%` };
  const hidesAfter = held && comparable;
  const pane = (kind: 'before' | 'after'): VNode => {
    const url = kind === 'before' ? before : after;
    const onLoad = (event: Event): void =>
      (kind === 'before' ? setBeforeShown : setAfterShown)(event.currentTarget as HTMLImageElement);
    return (
      <div class={`pane ${kind}`} key={kind}>
        {kind === 'after' && before !== null && !unreadable && shownMode === 'side' && strength < 1 ? (
          <img class="layer" src={before} style={{ transform }} alt="" aria-hidden="true" draggable={false} />
        ) : null}
        {url === null ? null : (
          <img
            class="layer"
            data-testid={kind === 'before' ? 'original' : 'restored'}
            src={url}
            alt={kind === 'before' ? text.stage.original : text.stage.restored}
            style={{ transform, opacity: kind === 'after' && comparable ? strength : 1 }}
            data-pixelated={percent > 200 ? '' : undefined}
            draggable={false}
            onLoad={onLoad}
            onError={() => (kind === 'before' ? setUnreadable(true) : setAfterShown(null))}
          />
        )}
        {kind === 'after' && mapped && comparable ? (
          <ChangeMap before={beforeShown} after={afterShown} transform={transform} />
        ) : null}
      </div>
    );
  };

  return (
    <section class="stage" aria-label={text.stage.label} data-testid="stage">
      {after === null || !comparable ? null : <Controls {...{ mode, setMode, mapped, setMapped, setHeld }} />}
      <div
        class="frame"
        ref={stage}
        data-testid="compare"
        data-mode={shownMode}
        data-held={hidesAfter ? '' : undefined}
        data-movable={geometry !== null && isMovable(view, geometry) ? '' : undefined}
        style={style}
        tabIndex={after === null ? -1 : 0}
        role="group"
        aria-label={`${name}. ${text.stage.keys}`}
        onKeyDown={onKey}
      >
        {unreadable ? null : pane('before')}
        {after === null ? null : pane('after')}
        {unreadable && after === null ? <p class="no-preview">{text.stage.noPreview}</p> : null}
        {shownMode === 'slider' && comparable ? <Split split={split} setSplit={setSplit} /> : null}
        {shownMode === 'side' ? <Tags /> : null}
        {after === null ? null : (
          <ZoomBar
            {...{ percent, zoomBy, reset }}
            isFit={geometry !== null && view.zoom === fitZoom(geometry)}
            stage={stage}
          />
        )}
        {children}
      </div>
    </section>
  );
}

const ARROWS: Readonly<Record<string, readonly [number, number] | undefined>> = {
  ArrowLeft: [1, 0],
  ArrowRight: [-1, 0],
  ArrowUp: [0, 1],
  ArrowDown: [0, -1],
};

function sizeOf(image: HTMLImageElement | null): { width: number; height: number } | null {
  return image === null || image.naturalWidth === 0 ? null : { width: image.naturalWidth, height: image.naturalHeight };
}

interface ViewState {
  readonly view: View;
  readonly geometry: Geometry | null;
  readonly change: (view: View) => void;
  readonly reset: () => void;
}

/** @param panes how many stand side by side */
function useView(
  stage: { current: HTMLDivElement | null },
  picture: { width: number; height: number } | null,
  panes: number,
): ViewState {
  const [box, setBox] = useState({ width: 0, height: 0 });
  const [view, setView] = useState<View | null>(null);
  useLayoutEffect(() => {
    const element = stage.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setBox({ width: element.clientWidth, height: element.clientHeight }));
    observer.observe(element);
    return () => observer.disconnect();
  }, [stage]);
  useEffect(() => setView(null), [picture?.width, picture?.height, panes]);
  const geometry =
    picture === null || box.width === 0
      ? null
      : { stage: { width: box.width / panes, height: box.height }, picture, density: devicePixelRatio };
  const shown = geometry === null ? { zoom: 1, x: 0, y: 0 } : view === null ? fit(geometry) : clampView(view, geometry);
  return { view: shown, geometry, change: setView, reset: useCallback(() => setView(null), []) };
}

interface GestureState extends ViewState {
  readonly split: number | null;
  readonly setSplit: (percent: number) => void;
}

function useGestures(stage: { current: HTMLDivElement | null }, state: GestureState): void {
  const latest = useRef(state);
  latest.current = state;
  useEffect(() => {
    const element = stage.current;
    if (element === null) return;
    const withGeometry = (act: (geometry: Geometry) => void): void => {
      const { geometry } = latest.current;
      if (geometry !== null) act(geometry);
    };
    return attachGestures(element, {
      zoomAt: (factor, at) => withGeometry((g) => latest.current.change(zoomAt(latest.current.view, factor, at, g))),
      panBy: (dx, dy) => withGeometry((g) => latest.current.change(panBy(latest.current.view, dx, dy, g))),
      toggleFull: (at) =>
        withGeometry((g) => {
          const { view, change, reset } = latest.current;
          if (view.zoom !== fitZoom(g)) return reset();
          change(zoomAt(view, 1 / g.density / view.zoom, at, g));
        }),
      split: () => {
        const { split, geometry } = latest.current;
        return split === null || geometry === null ? null : (split / 100) * geometry.stage.width;
      },
      moveSplit: (x) =>
        withGeometry((g) => latest.current.setSplit(Math.min(100, Math.max(0, (x / g.stage.width) * 100)))),
      isMovable: () => latest.current.geometry !== null && isMovable(latest.current.view, latest.current.geometry),
      canZoomOut: () => latest.current.geometry !== null && latest.current.view.zoom > fitZoom(latest.current.geometry),
    });
  }, [stage]);
}

function Split({ split, setSplit }: { split: number; setSplit: (percent: number) => void }): VNode {
  const onKey = (event: KeyboardEvent): void => {
    const direction = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    if (direction === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    setSplit(Math.min(100, Math.max(0, split + direction * (event.shiftKey ? 10 : 1))));
  };
  return (
    <>
      <span class="tag before" aria-hidden="true" hidden={split < 12}>
        {text.stage.before}
      </span>
      <span class="tag after" aria-hidden="true" hidden={split > 88}>
        {text.stage.after}
      </span>
      <span class="rule" aria-hidden="true">
        <span class="handle" />
      </span>
      <input
        class="split-input"
        data-testid="slider"
        type="range"
        min="0"
        max="100"
        step="0.1"
        value={split}
        aria-label={text.stage.slider}
        aria-valuetext={text.stage.sliderValue(Math.round(100 - split))}
        onInput={(event) => setSplit(Number(event.currentTarget.value))}
        onKeyDown={onKey}
      />
    </>
  );
}

function Tags(): VNode {
  return (
    <>
      <span class="tag before" aria-hidden="true">
        {text.stage.before}
      </span>
      <span class="tag after" aria-hidden="true">
        {text.stage.after}
      </span>
    </>
  );
}

interface ControlsProps {
  readonly mode: Mode;
  readonly setMode: (mode: Mode) => void;
  readonly mapped: boolean;
  readonly setMapped: (mapped: boolean) => void;
  readonly setHeld: (held: boolean) => void;
}

function Controls({ mode, setMode, mapped, setMapped, setHeld }: ControlsProps): VNode {
  const hold = (held: boolean) => (): void => setHeld(held);
  const isPressKey = ({ key }: KeyboardEvent): boolean => key === ' ' || key === 'Enter';
  return (
    <div class="controls" role="toolbar" aria-label={text.stage.view}>
      <div class="segments">
        {(['slider', 'side', 'single'] as const).map((name) => (
          <button
            type="button"
            key={name}
            data-testid={`mode-${name}`}
            aria-pressed={mode === name}
            onClick={() => setMode(name)}
          >
            {text.stage.modes[name]}
          </button>
        ))}
      </div>
      <button
        type="button"
        class="button small"
        data-testid="hold"
        onPointerDown={hold(true)}
        onPointerUp={hold(false)}
        onPointerLeave={hold(false)}
        onPointerCancel={hold(false)}
        onKeyDown={(event) => isPressKey(event) && setHeld(true)}
        onKeyUp={hold(false)}
        onBlur={hold(false)}
      >
        {text.stage.hold}
      </button>
      <label class="check">
        <input
          type="checkbox"
          data-testid="map"
          checked={mapped}
          onChange={(event) => setMapped(event.currentTarget.checked)}
        />
        {text.stage.map}
      </label>
    </div>
  );
}

interface ZoomBarProps {
  readonly percent: number;
  readonly isFit: boolean;
  readonly zoomBy: (factor: number) => void;
  readonly reset: () => void;
  readonly stage: { current: HTMLDivElement | null };
}

function ZoomBar({ percent, isFit, zoomBy, reset, stage }: ZoomBarProps): VNode {
  const fullScreen = (): void => {
    if (document.fullscreenElement !== null) void document.exitFullscreen();
    else void stage.current?.requestFullscreen().catch(() => undefined);
  };
  return (
    <div class="zoom" role="group" aria-label={text.stage.zoom} data-control>
      <button type="button" data-testid="zoom-out" aria-label={text.stage.zoomOut} onClick={() => zoomBy(1 / KEY_ZOOM)}>
        −
      </button>
      <output data-testid="zoom-percent">{text.stage.percent(percent)}</output>
      <button type="button" data-testid="zoom-in" aria-label={text.stage.zoomIn} onClick={() => zoomBy(KEY_ZOOM)}>
        +
      </button>
      <button type="button" data-testid="zoom-fit" aria-pressed={isFit} onClick={reset}>
        {text.stage.fit}
      </button>
      {document.fullscreenEnabled ? (
        <button type="button" data-testid="full-screen" aria-label={text.stage.fullScreen} onClick={fullScreen}>
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4" />
          </svg>
        </button>
      ) : null}
    </div>
  );
}

interface ChangeMapProps {
  readonly before: HTMLImageElement | null;
  readonly after: HTMLImageElement | null;
  readonly transform: string | undefined;
}

function ChangeMap({ before, after, transform }: ChangeMapProps): VNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    if (canvas.current !== null && before !== null && after !== null) drawChangeMap(canvas.current, before, after);
  }, [before, after]);
  const size = after === null ? {} : { width: `${after.naturalWidth}px`, height: `${after.naturalHeight}px` };
  return (
    <canvas class="layer map" ref={canvas} data-testid="change-map" style={{ transform, ...size }} aria-hidden="true" />
  );
}

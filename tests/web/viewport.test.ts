import { describe, expect, it } from 'vitest';
import { changeMap } from '../../workers/web/app/change-map.ts';
import { clampView, fit, fitZoom, isMovable, panBy, zoomAt, type Geometry } from '../../workers/web/app/viewport.ts';

const large: Geometry = { stage: { width: 800, height: 600 }, picture: { width: 4000, height: 3000 }, density: 2 };
const small: Geometry = { ...large, picture: { width: 100, height: 50 } };

describe('the fitting view', () => {
  it('shows a large picture whole and enlarges a small one up to 400 %', () => {
    expect(fitZoom(large)).toBe(0.2);
    expect(fitZoom(small)).toBe(4 / 2);
    expect(fit(large)).toEqual({ zoom: 0.2, x: 2000, y: 1500 });
  });

  it('cannot be moved', () => {
    expect(isMovable(fit(large), large)).toBe(false);
    expect(panBy(fit(large), 100, 50, large)).toEqual(fit(large));
  });
});

describe('zooming', () => {
  it('keeps the point under the pointer where it is', () => {
    const at = { x: 500, y: 200 };
    const before = { zoom: 0.5, x: 2000, y: 1500 };
    const after = zoomAt(before, 1.5, at, large);
    const pointOf = (view: typeof before): number[] => [
      view.x + (at.x - 400) / view.zoom,
      view.y + (at.y - 300) / view.zoom,
    ];
    expect(after.zoom).toBeCloseTo(0.75);
    for (const [axis, value] of pointOf(after).entries()) expect(value).toBeCloseTo(pointOf(before)[axis]!);
  });

  it('stays between the whole picture, or 25 %, and 400 % in device pixels', () => {
    const middle = { x: 400, y: 300 };
    expect(zoomAt(fit(large), 1000, middle, large).zoom).toBe(4 / 2);
    expect(zoomAt(fit(large), 0.001, middle, large).zoom).toBe(0.25 / 2);
    expect(zoomAt(fit(small), 0.001, middle, small).zoom).toBe(0.25 / 2);
  });
});

it('never leaves emptiness beside a picture that is larger than the stage', () => {
  const view = clampView({ zoom: 1, x: -500, y: 99_999 }, large);
  expect(view).toEqual({ zoom: 1, x: 400, y: 2700 });
});

it('draws the change of a pixel as the opacity of the map', () => {
  const before = new Uint8ClampedArray([10, 10, 10, 255, 10, 10, 10, 255, 0, 0, 0, 255]);
  const after = new Uint8ClampedArray([10, 10, 10, 255, 10, 30, 10, 255, 255, 0, 0, 255]);
  const alpha = [3, 7, 11].map((index) => changeMap(before, after)[index]);
  expect(alpha).toEqual([0, 115, 230]);
});

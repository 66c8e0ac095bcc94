import { ERRORS } from '@deblur/shared/protocol/errors.ts';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { estimateSeconds, remainingSeconds } from '../../workers/web/app/estimate.ts';
import { pastedAddress } from '../../workers/web/app/files.ts';
import { formatBytes, formatSeconds, resultName } from '../../workers/web/app/format.ts';
import { newItem } from '../../workers/web/app/item.ts';
import { DEFAULT_SETTINGS } from '../../workers/web/app/settings.ts';
import { parseOffer } from '../../workers/web/service/models.ts';
import { stateOf } from '../../workers/web/service/prediction.ts';
import { predictionFailure, problemOf } from '../../workers/web/service/problem.ts';
import { canonicalPath, retryAfterSeconds } from '../../workers/web/service/restore.ts';
import { de } from '../../workers/web/text/de.ts';
import { en } from '../../workers/web/text/en.ts';

beforeAll(() => {
  vi.stubGlobal('location', new URL('https://deblur.test/'));
  vi.stubGlobal('localStorage', { getItem: () => null, setItem: () => undefined });
});

const answer = (status: number, headers: Record<string, string> = {}): Response =>
  new Response(null, { status, headers });

describe('the wait before the same upload is repeated', () => {
  it.each([
    ['a full queue', answer(503, { 'Retry-After': '2' }), 2],
    ['a rate limit', answer(429, { 'Retry-After': '7' }), 7],
    ['no wait at all', answer(503, { 'Retry-After': '0' }), 1],
    ['a text that is neither a number nor a date', answer(503, { 'Retry-After': 'soon' }), 5],
    ['more than a person waits', answer(429, { 'Retry-After': '3600' }), null],
    ['no header', answer(503), null],
    ['another failure', answer(502, { 'Retry-After': '5' }), null],
  ])('after %s', (_, response, seconds) => {
    expect(retryAfterSeconds(response)).toBe(seconds);
  });

  it('follows a date', () => {
    const seconds = retryAfterSeconds(answer(503, { 'Retry-After': new Date(Date.now() + 20_000).toUTCString() }));
    expect(seconds).toBeGreaterThan(17);
    expect(seconds).toBeLessThan(22);
  });
});

describe('the canonical link', () => {
  it.each([
    ['</v1/results/ab>; rel="canonical"', '/v1/results/ab'],
    ['</x>; rel="preload", <https://deblur.test/v1/results/ab>; rel=canonical', '/v1/results/ab'],
    ['<https://elsewhere.test/v1/results/ab>; rel="canonical"', null],
    ['<javascript:alert(1)>; rel="canonical"', null],
    ['</x>; rel="preload"', null],
    [null, null],
  ])('of %s is %s', (header, path) => {
    expect(canonicalPath(header)).toBe(path);
  });
});

describe('a failure', () => {
  it('carries code, detail and request id of the problem', () => {
    const body = { title: 'Not a supported picture', detail: 'No.', code: 'unsupported_media_type', request_id: 'r1' };
    const failure = { code: 'unsupported_media_type', detail: 'No.', requestId: 'r1', retryable: false };
    expect(problemOf(415, body)).toEqual(failure);
  });

  it('without a problem document is unexplained, and worth another try when the server failed', () => {
    expect(problemOf(502, null)).toEqual({ code: 'unexplained', detail: 'HTTP 502', requestId: null, retryable: true });
    expect(problemOf(404, '<html>')).toMatchObject({ code: 'unexplained', retryable: false });
  });

  it('of a prediction has the code before the colon', () => {
    const failure = predictionFailure('failed', 'image_truncated: The file ends early.');
    expect(failure).toMatchObject({ code: 'image_truncated', detail: 'The file ends early.', retryable: false });
    expect(predictionFailure('canceled', '')).toMatchObject({ code: 'canceled' });
  });

  it.each(['en', 'de'] as const)('about a picture has words in %s that say what to do', (language) => {
    const { texts } = { en, de }[language].failure;
    const codes = Object.keys(ERRORS).filter((code) =>
      /^(image_|unsupported_media|body_too|rate_|runner_(?!failed)|deadline)/.test(code),
    );
    expect(codes.length).toBeGreaterThan(7);
    for (const code of codes)
      expect(
        texts[code]?.every((line) => line.length > 10),
        code,
      ).toBe(true);
  });
});

describe('a prediction', () => {
  it('is read with its progress, its event stream and what it says of the result', () => {
    const prediction = {
      status: 'succeeded',
      progress: { done: 3, total: 8 },
      output: 'https://deblur.test/v1/results/ab',
      urls: { stream: 'https://deblur.test/v1/streams/s', events: 'https://deblur.test/v1/events/e' },
      metrics: { cache: 'miss', scale: 2, change: { mean: 1.5, max: 80, sharpness: 1.2 }, outcome: 'restored' },
    };
    expect(stateOf(prediction)).toEqual({
      status: 'succeeded',
      done: 3,
      total: 8,
      error: '',
      output: '/v1/results/ab',
      events: '/v1/events/e',
      cache: 'miss',
      scale: 2,
      change: { mean: 1.5, max: 80 },
      verdict: 'restored',
    });
  });

  it.each([null, 'text', [], { status: 7, progress: 'x', urls: { stream: 'https://elsewhere.test/' } }])(
    'that is damaged (%j) names no address and no progress',
    (value) => {
      expect(stateOf(value)).toMatchObject({ done: 0, total: 0, output: null, events: null });
    },
  );
});

describe('what the service offers', () => {
  const edge = { name: 'dhnet-edge', available: true, seconds_per_megapixel: 2.5 };

  it('is quick and best where two models have weights', () => {
    const offer = parseOffer({
      models: [{ name: 'dhnet-b', available: true }, { name: 'dhnet', available: false }, edge],
    });
    expect(offer).toEqual({ quick: 'dhnet-edge', best: 'dhnet-b', secondsPerMegapixel: { 'dhnet-edge': 2.5 } });
  });

  it('has no best where there is one model', () => {
    expect(parseOffer({ models: [edge] })).toMatchObject({ quick: 'dhnet-edge', best: null });
  });

  it.each([null, [], {}, { models: {} }])('cannot be read from %j', (value) => {
    expect(() => parseOffer(value)).toThrow();
  });
});

describe('the estimate', () => {
  const offer = parseOffer({ models: [{ name: 'dhnet-edge', available: true, seconds_per_megapixel: 2.5 }] });

  it('is the measured time for each megapixel', () => {
    expect(estimateSeconds(8, newItem('a', new Blob(), DEFAULT_SETTINGS), offer)).toBe(20);
  });

  it('is missing where nothing was measured', () => {
    const onDevice = { ...DEFAULT_SETTINGS, onDevice: true };
    expect(estimateSeconds(8, newItem('a', new Blob(), onDevice), offer)).toBeNull();
  });

  it('of what is left follows from what is done', () => {
    expect(remainingSeconds(0, 2, 8, 10_000)).toBe(30);
    expect(remainingSeconds(0, 0, 8, 10_000)).toBeNull();
    expect(remainingSeconds(0, 1, 0, 10_000)).toBeNull();
  });
});

describe('figures and names', () => {
  it('are written as people read them', () => {
    const sizes = [0, 999, 1000, 12_345, 999_999, 25_000_000].map(formatBytes);
    expect(sizes).toEqual(['0 B', '999 B', '1.0 kB', '12 kB', '1.0 MB', '25 MB']);
    const times = [0, 994, 999, 9_949, 59_400, 59_700, 119_900].map(formatSeconds);
    expect(times).toEqual(['1 ms', '994 ms', '1.0 s', '9.9 s', '59 s', '1 min 0 s', '2 min 0 s']);
  });

  it.each([
    ['street.jpg', 'image/jpeg', 'street-deblurred.jpg'],
    ['IMG.0001.HEIC', 'image/png', 'IMG.0001-deblurred.png'],
    ['no extension', 'image/webp', 'no extension-deblurred.webp'],
    ['.png', 'image/png', 'picture-deblurred.png'],
  ])('turn %s as %s into %s', (name, type, expected) => {
    expect(resultName(name, type)).toBe(expected);
  });
});

it.each([
  [' https://example.com/a.jpg\n', 'https://example.com/a.jpg'],
  ['http://example.com/a.jpg', null],
  ['https://example.com/a b.jpg', null],
  ['just words', null],
])('takes the pasted text %j for the address %s', (text, address) => {
  expect(pastedAddress(text)).toBe(address);
});

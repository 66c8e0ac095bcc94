import { afterEach, describe, expect, it, vi } from 'vitest';
import { failureOf } from '../../workers/web/answers.ts';
import { canonicalPath, deblurOnService, retryAfterSeconds } from '../../workers/web/api.ts';
import { formatBytes, formatSeconds, resultName } from '../../workers/web/format.ts';
import { parseModels } from '../../workers/web/models.ts';
import { DEFAULT_SETTINGS, type Activity, type Failure } from '../../workers/web/state.ts';

const BASE = 'https://deblur.test/';

function answer(status: number, headers: Record<string, string> = {}, code = 'runner_busy'): [Response, Failure] {
  return [new Response(null, { status, headers }), { title: '', detail: '', code, requestId: null, retryable: true }];
}

describe('Retry-After', () => {
  it.each([
    ['a wait that expired', answer(504, { 'Retry-After': '5' }), 5],
    ['a full queue', answer(503, { 'Retry-After': '2' }, 'runner_busy'), 2],
    ['too long a wait', answer(503, { 'Retry-After': '86400' }), 60],
    ['no wait', answer(503, { 'Retry-After': '0' }), 1],
    ['nonsense', answer(503, { 'Retry-After': 'soon' }), 5],
    ['no header', answer(503), null],
    [
      'a deadline, which a repetition would spend again',
      answer(504, { 'Retry-After': '5' }, 'deadline_exceeded'),
      null,
    ],
    ['another failure', answer(502, { 'Retry-After': '5' }, 'runner_failed'), null],
  ])('after %s', (_, [response, failure], seconds) => {
    expect(retryAfterSeconds(response, failure)).toBe(seconds);
  });

  it('takes a date', () => {
    const [response, failure] = answer(503, { 'Retry-After': new Date(Date.now() + 20_000).toUTCString() });
    expect(retryAfterSeconds(response, failure)).toBeGreaterThan(17);
    expect(retryAfterSeconds(response, failure)).toBeLessThan(22);
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
    expect(canonicalPath(header, BASE)).toBe(path);
  });
});

describe('a failure', () => {
  it('is told in the words of the problem', async () => {
    const body = { title: 'Not a supported picture', detail: 'No.', code: 'unsupported_media_type', request_id: 'r1' };
    expect(await failureOf(Response.json(body, { status: 415 }))).toEqual({
      title: 'Not a supported picture',
      detail: 'No.',
      code: 'unsupported_media_type',
      requestId: 'r1',
      retryable: false,
    });
  });

  it('without a problem body has words of its own', async () => {
    const failure = await failureOf(new Response('<html>', { status: 502 }));
    expect(failure).toMatchObject({ title: 'The service answered 502', code: null, retryable: true });
  });
});

describe('repetition', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.useRealTimers();
  });

  it('is bounded, and the last failure is told', async () => {
    vi.useFakeTimers();
    const busy = { title: 'Every slot is busy', detail: 'Later.', code: 'runner_busy' };
    const fetch = vi.fn(async () => Response.json(busy, { status: 503, headers: { 'Retry-After': '1' } }));
    vi.stubGlobal('fetch', fetch);
    const photo = { name: 'a.png', file: new Blob(['x']) };
    const call = { signal: new AbortController().signal, onActivity: (_: Activity) => undefined };
    const outcome = deblurOnService(photo, DEFAULT_SETTINGS, call).catch((error: unknown) => error);
    await vi.runAllTimersAsync();
    expect(await outcome).toMatchObject({ failure: { title: 'Every slot is busy', retryable: true } });
    expect(fetch).toHaveBeenCalledTimes(24);
  });
});

describe('the list of models', () => {
  it('keeps the known ones, best first, with the reason of those that cannot be chosen', () => {
    const models = [
      { name: 'dhnet-edge', available: true },
      { name: 'tomorrow', available: true },
      { name: 'dhnet', available: false },
    ];
    expect(parseModels({ models })).toEqual([
      { name: 'dhnet', unavailable: 'no trained weights yet' },
      { name: 'dhnet-edge', unavailable: null },
    ]);
  });

  it.each([null, [], {}, { models: {} }, { models: [null, { name: 'tomorrow' }] }])('is not %j', (value) => {
    expect(() => parseModels(value)).toThrow();
  });
});

describe('figures and names', () => {
  it('are written as people read them', () => {
    expect([0, 999, 1000, 12_345, 999_999, 25_000_000].map(formatBytes)).toEqual([
      '0 B',
      '999 B',
      '1.0 kB',
      '12 kB',
      '1.0 MB',
      '25 MB',
    ]);
    expect([0, 994, 999, 9_949, 59_400, 59_700, 119_900].map(formatSeconds)).toEqual([
      '1 ms',
      '994 ms',
      '1.0 s',
      '9.9 s',
      '59 s',
      '1 min 0 s',
      '2 min 0 s',
    ]);
  });

  it.each([
    ['street.jpg', 'image/jpeg', 'street-deblurred.jpg'],
    ['IMG.0001.HEIC', 'image/png', 'IMG.0001-deblurred.png'],
    ['no extension', 'image/webp', 'no extension-deblurred.webp'],
    ['.png', 'image/png', 'picture-deblurred.png'],
  ])('%s as %s is %s', (name, type, expected) => {
    expect(resultName(name, type)).toBe(expected);
  });
});

import {
  DeblurError,
  ERRORS,
  fromWireError,
  isErrorCode,
  toWireError,
  type ErrorCode,
} from '@deblur/shared/protocol/errors.ts';
import { formatGpuError } from '@deblur/shared/protocol/runner-api.ts';
import { describe, expect, it } from 'vitest';

describe('the table of errors', () => {
  it.each(Object.entries(ERRORS))('maps %s to a status and a title', (code, { status, title, retryable }) => {
    expect(isErrorCode(code)).toBe(true);
    expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(600);
    expect(title).toMatch(/^[A-Z].*[a-z]$/);
    // What the caller did wrong stays wrong; what went wrong on our side, took too long or was in the way may pass.
    expect(retryable).toBe(status >= 500 || [408, 409, 429].includes(status));
  });

  it('keeps 500 for what is not the user’s doing', () => {
    const internal = Object.entries(ERRORS).filter(([, { status }]) => status === 500);
    expect(internal.map(([code]) => code)).toEqual(['internal']);
  });

  it.each(['toString', '__proto__', 'INTERNAL', '', 5, null, undefined])('has no %j', (value) => {
    expect(isErrorCode(value)).toBe(false);
  });
});

describe('an error on the wire', () => {
  it('keeps its code and its public words', () => {
    const error = new DeblurError('image_truncated', 'It ends early.', { cause: new Error('/secret/path') });
    const wire: unknown = JSON.parse(JSON.stringify(toWireError(error)));
    expect(wire).toEqual({ code: 'image_truncated', detail: 'It ends early.' });
    const back = fromWireError(toWireError(error));
    expect([back.code, back.detail, back instanceof DeblurError]).toEqual(['image_truncated', 'It ends early.', true]);
  });

  it.each([new TypeError('/etc/passwd'), 'token=abc', undefined, { code: 'gone', detail: 'not ours' }])(
    'tells nothing of %o',
    (thrown) => {
      const wire = toWireError(thrown);
      expect(wire.code).toBe('internal' satisfies ErrorCode);
      expect(JSON.stringify(wire)).not.toMatch(/passwd|token|ours/);
    },
  );

  it('is one string in a Cog prediction', () => {
    expect(formatGpuError({ code: 'runner_busy', detail: 'Every slot works.' })).toBe('runner_busy: Every slot works.');
  });
});

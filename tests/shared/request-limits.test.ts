import { readFileSync } from 'node:fs';
import { REQUEST_LIMIT_ANONYMOUS, REQUEST_LIMIT_KEY, REQUEST_LIMIT_WINDOW_SECONDS } from '@deblur/shared/limits.ts';
import { expect, it } from 'vitest';

/** Cloudflare wants the numbers in the configuration, and answers say them: they are the same. */
it('the request limits are those that wrangler.toml binds, in both environments', () => {
  const toml = readFileSync(new URL('../../wrangler.toml', import.meta.url), 'utf8');
  const bound = [
    ...toml.matchAll(/name = "(REQUESTS_\w+)"\nnamespace_id = "\d+"\nsimple = \{ limit = (\d+), period = (\d+) \}/g),
  ].map(([, name, limit, period]) => [name, Number(limit), Number(period)]);
  const said = [
    ['REQUESTS_KEY', REQUEST_LIMIT_KEY, REQUEST_LIMIT_WINDOW_SECONDS],
    ['REQUESTS_ANONYMOUS', REQUEST_LIMIT_ANONYMOUS, REQUEST_LIMIT_WINDOW_SECONDS],
  ];
  expect(bound).toEqual([...said, ...said]);
});

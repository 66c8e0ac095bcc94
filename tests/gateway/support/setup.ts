import { env } from 'cloudflare:workers';
import { afterEach, beforeAll } from 'vitest';
import { call, edge, gpu, stored } from './gateway.ts';

// The Worker's modules are loaded with its first request: not on the first test's time.
beforeAll(async () => {
  await call('/v1/models');
}, 120_000);

// Every picture is another one, so that the objects of earlier tests are never met again; only the bucket is emptied.
afterEach(async () => {
  await edge.reset();
  await gpu.set({});
  await env.STORE.delete(await stored(''));
});

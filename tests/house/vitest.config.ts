import { defineProject } from 'vitest/config';

export default defineProject({
  test: { name: 'house', root: import.meta.dirname, environment: 'node', testTimeout: 30_000 },
});

import { defineProject } from 'vitest/config';

export default defineProject({
  test: {
    name: 'shared',
    root: import.meta.dirname,
    environment: 'node',
    // A bound for hostile input, not a measurement: whatever hangs or explodes ends here.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});

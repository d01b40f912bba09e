import {defineConfig} from 'vitest/config';

// The tests run against the built package (dist/), loaded by Node itself: what they see is what a user gets.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    testTimeout: 120_000,
    hookTimeout: 120_000,
    server: {deps: {external: [/\/dist\//]}},
  },
});

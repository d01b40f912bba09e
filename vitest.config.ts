import {defineConfig} from 'vitest/config';

// The tests run against the built package (dist/), loaded by Node itself: what they see is what a user gets.
// Files named NN-topic.engines.test.ts run once per engine; all others run once.
const engines = ['native', 'reference', 'webgpu'] as const;

export default defineConfig({
  test: {
    pool: 'forks',
    testTimeout: 120_000,
    hookTimeout: 120_000,
    server: {deps: {external: [/\/dist\//]}},
    projects: [
      {extends: true, test: {name: 'engram', include: ['test/**/*.test.ts'], exclude: ['**/*.engines.test.ts']}},
      ...engines.map((engine) => ({
        extends: true as const,
        test: {
          name: engine,
          include: ['test/**/*.engines.test.ts'],
          // One process for all files of an engine: a GPU device and its pipelines take longer than most tests.
          isolate: false,
          env: {ENGRAM_TEST_ENGINE: engine, ...(engine === 'reference' ? {ENGRAM_NATIVE: 'skip'} : {})},
        },
      })),
    ],
  },
});

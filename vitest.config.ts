import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/lib/**/*.test.ts', 'test/scenario/**/*.test.ts', 'test/types/**/*.test.ts'],
    globalSetup: ['test/built.ts'],
    pool: 'forks', // a native crash then fails one file; in threads it ends the whole run
    maxWorkers: 2, // scenarios measure time: more of them at once than processors would make each other late
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});

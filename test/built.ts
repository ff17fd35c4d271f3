import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** What the tests run, and the command that makes it. */
const NEEDED: readonly (readonly [file: string, command: string])[] = [
  ['build/Release/holdfast.node', 'npm run build:native'],
  ['build/Release/holdfastd', 'npm run build:native'],
  ['dist/index.js', 'npm run build:ts'],
  ['dist/cli/main.js', 'npm run build:ts'],
  ['out/release/holdfastd-test', 'npm run build:tests'],
];

/** Runs once before all tests, so that a missing build is one clear line and not a hundred failed tests. */
export default function built(): void {
  const root = join(import.meta.dirname, '..');
  for (const [file, command] of NEEDED) {
    if (!existsSync(join(root, file)))
      throw new Error(`${file} is missing: run \`${command}\`, or \`npm test\`, which builds all`);
  }
}

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..', '..');

/** Compiles a program that has the package in its node_modules; gives what tsc says. */
function compile(source: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-types-'));
  try {
    mkdirSync(join(folder, 'node_modules', '@types'), { recursive: true });
    symlinkSync(root, join(folder, 'node_modules', 'holdfast'));
    symlinkSync(join(root, 'node_modules', '@types', 'node'), join(folder, 'node_modules', '@types', 'node'));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(folder, 'program.ts'), source);
    const compilerOptions = { module: 'nodenext', target: 'es2022', strict: true, noEmit: true, types: ['node'] };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['program.ts'] }));
    execFileSync(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', folder], {
      encoding: 'utf8',
    });
    return '';
  } catch (error) {
    return String((error as { stdout?: string }).stdout ?? error);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('the types of the package compile under strict, without skipLibCheck', () => {
  const source = readFileSync(join(import.meta.dirname, 'public.ts'), 'utf8')
    .replace("'../../lib/index.js'", "'holdfast'")
    .replace("'../../lib/exos.js'", "'holdfast/exos'")
    .replace("'../../lib/pool.js'", "'holdfast/pool'");
  expect(source).not.toContain('../../lib');
  expect(compile(source)).toBe('');
});

test('a wrong use is an error', () => {
  expect(compile("import { ready } from 'holdfast';\nready(1);\n")).toContain('error TS2554');
});

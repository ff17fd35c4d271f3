import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { buildProgram, runCli } from '../../lib/cli/cli.js';
import { readSituations, textMatches } from '../scenario/cli-situations.js';

const docs = readFileSync(join(import.meta.dirname, '../../docs/cli.md'), 'utf8');

let stderr: string;
let stdout: string;

beforeEach(() => {
  stderr = stdout = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    stderr += text;
    return true;
  });
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += text;
    return true;
  });
});
afterEach(() => vi.restoreAllMocks());

const usage = readSituations(docs).filter(({ exit, command }) => exit === 2 && !command.includes('--instance'));

test('the table of the documentation has errors of usage', () => expect(usage.length).toBeGreaterThan(5));

test.each(usage)('$command', async ({ argv, text }) => {
  expect(await runCli(argv)).toBe(2);
  expect(stderr).toMatch(textMatches(text));
  expect(stderr.trimEnd()).not.toContain('\n');
  expect(stdout).toBe('');
});

test('every command of the program is in the documentation, and the other way round', () => {
  const commands = buildProgram(() => {}).commands.map((one) => one.name());
  const documented = [...docs.matchAll(/^\| `holdfast (\w+)[^|]*\| [^|]+\|$/gm)].map((match) => match[1]);
  expect([...new Set(documented)].sort()).toEqual([...commands].sort());
});

test('every command but run takes --instance and --dir', () => {
  for (const one of buildProgram(() => {}).commands.filter((command) => command.name() !== 'run')) {
    const options = one.options.map((option) => option.long);
    expect(options, one.name()).toEqual(expect.arrayContaining(['--instance', '--dir']));
  }
});

test('commands of later releases are unknown', async () => {
  for (const word of ['log-level', 'get', 'set', 'stack', 'checkpoints', 'failover']) {
    stderr = '';
    expect(await runCli([word])).toBe(2);
    expect(stderr).toContain(`unknown command "${word}"`);
  }
});

test('help and version go to stdout, with exit code 0', async () => {
  expect(await runCli(['--help'])).toBe(0);
  expect(await runCli(['logs', '--help'])).toBe(0);
  expect(await runCli(['--version'])).toBe(0);
  expect(stdout).toMatch(/Usage: holdfast .*Usage: holdfast logs .*\d+\.\d+\.\d+\n$/s);
  expect(stderr).toBe('');
});

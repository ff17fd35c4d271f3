// SPDX-License-Identifier: MIT
// `npm test`: builds what is out of date, runs the C tests, then the TypeScript tests. The last line is the sum of both.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const ctestReport = join(root, 'out/ctest.xml');
const vitestReport = join(root, 'out/vitest.json');

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (error) console.error(`test: ${command} could not be run (${error.code}): install it`);
  return status === 0;
}

// Each C program says in its last line how many tests it holds; one that died before that, or failed after it, is one failure.
function sumOfCTests(succeeded) {
  const sum = { passed: 0, failed: 0 };
  const cases = readReport(ctestReport)?.matchAll(/<testcase[^>]*status="(\w+)"[^>]*>(.*?)<\/testcase>/gs) ?? [];
  for (const [, status, body] of cases) {
    const [passed, failed] = [...body.matchAll(/^(\d+) passed, (\d+) failed$/gm)].at(-1)?.slice(1).map(Number) ?? [0, 0];
    const good = status === 'run';
    sum.passed += good && passed === 0 ? 1 : passed;
    sum.failed += !good && failed === 0 ? 1 : failed;
  }
  return atLeastOneFailureUnless(succeeded, sum);
}

function sumOfVitest(succeeded) {
  const report = JSON.parse(readReport(vitestReport) ?? 'null');
  const unloadable =
    report?.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0) ?? [];
  const sum = { passed: report?.numPassedTests ?? 0, failed: (report?.numFailedTests ?? 0) + unloadable.length };
  return atLeastOneFailureUnless(succeeded && sum.passed > 0, sum);
}

function readReport(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined; // the runner ended before it wrote one: counted as a failure by its exit code
  }
}

function atLeastOneFailureUnless(succeeded, sum) {
  return succeeded || sum.failed > 0 ? sum : { ...sum, failed: 1 };
}

function total(sums) {
  return sums.reduce((a, b) => ({ passed: a.passed + b.passed, failed: a.failed + b.failed }));
}

mkdirSync(join(root, 'out'), { recursive: true });
for (const report of [ctestReport, vitestReport]) rmSync(report, { force: true });

const built = run('npm', ['run', '--silent', 'build']) && run('npm', ['run', '--silent', 'build:tests']);
if (!built) {
  console.log('0 passed, 1 failed');
  process.exit(1);
}
const keepOutput = ['--test-output-size-passed', '10000000', '--test-output-size-failed', '10000000'];
const cTests = run('ctest', ['--preset', 'release', '--output-junit', ctestReport, ...keepOutput]);
const vitest = run('npx', ['vitest', 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${vitestReport}`]);
const { passed, failed } = total([sumOfCTests(cTests), sumOfVitest(vitest)]);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

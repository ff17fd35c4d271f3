import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { applyPlan, type Changes, makePlan, type Plan } from '../../lib/cli/apply.js';
import { findCircle } from '../../lib/config/depends.js';
import { loadConfig } from '../../lib/config/load.js';
import type { NativeOperator, NativeSpec } from '../../lib/native.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-apply-'));
  mkdirSync(join(folder, 'spec'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function plan(text: string, name = 'holdfast.yaml'): Plan {
  const file = join(folder, name);
  writeFileSync(file, `log: {dir: logs}\n${text}`);
  return makePlan(loadConfig(file), { instance: 'default', dir: folder });
}

/** What the native operator does with definitions, its refusal of circles included: a definition is a file below spec/. */
class FakeOperator {
  readonly specs = new Map<string, NativeSpec>();
  readonly settings = new Map<string, string>();

  define(spec: NativeSpec): boolean {
    const before = this.specs.get(spec.name);
    this.specs.set(spec.name, spec);
    const circle = findCircle(new Map([...this.specs].map(([name, one]) => [name, one.dependsOn])));
    if (circle !== undefined) throw new Error(`circle ${circle.join(' ')}`);
    writeFileSync(join(folder, 'spec', spec.name), '');
    return JSON.stringify(before) !== JSON.stringify(spec);
  }
  remove(name: string): void {
    if (!this.specs.delete(name)) throw new Error(`unknown ${name}`);
    rmSync(join(folder, 'spec', name));
  }
  setting(key: string): string | null {
    return this.settings.get(key) ?? null;
  }
  setSetting(key: string, value: string): void {
    this.settings.set(key, value);
  }
}

function apply(operator: FakeOperator, to: Plan): Changes {
  return applyPlan(operator as unknown as NativeOperator, to, { instance: 'default', dir: folder });
}

test('what is new, changed, gone and the same is told apart', () => {
  const operator = new FakeOperator();
  const first = apply(operator, plan('processes:\n  a: {run: x}\n  b: {run: x}\n  c: {run: x, instances: 2}\n'));
  expect(first).toEqual({ added: ['a', 'b', 'c.1', 'c.2'], changed: [], removed: [], unchanged: [] });
  const second = apply(
    operator,
    plan('processes:\n  a: {run: x}\n  b: {run: y}\n  c: {run: x, instances: 3}\n  d: {run: x}\n'),
  );
  expect(second).toEqual({ added: ['c.3', 'd'], changed: ['b'], removed: [], unchanged: ['a', 'c.1', 'c.2'] });
  const third = apply(operator, plan('processes:\n  a: {run: x}\n'));
  expect(third).toEqual({ added: [], changed: [], removed: ['b', 'c.1', 'c.2', 'c.3', 'd'], unchanged: ['a'] });
  expect([...operator.specs.keys()]).toEqual(['a']);
});

test('an instance remembers its file, and refuses another with both names', () => {
  const operator = new FakeOperator();
  apply(operator, plan('processes: {a: {run: x}}'));
  expect(Object.fromEntries(operator.settings)).toEqual({
    instance: 'default',
    file: join(folder, 'holdfast.yaml'),
    log_dir: join(folder, 'logs'),
  });
  const other = plan('processes: {b: {run: x}}', 'other.yaml');
  expect(() => apply(operator, other)).toThrow(
    `the instance "default" belongs to ${join(folder, 'holdfast.yaml')}, not to ${join(folder, 'other.yaml')}: `,
  );
  expect([...operator.specs.keys()]).toEqual(['a']);
});

test('the dependencies of instances are expanded, logs and environment are filled in', () => {
  const { specs } = plan('sysname: edge\nprocesses:\n  web: {run: x, dependsOn: [db]}\n  db: {run: x, instances: 2}\n');
  expect(specs.map((spec) => spec.name)).toEqual(['db.1', 'db.2', 'web']);
  const web = specs.at(-1);
  expect(web).toMatchObject({ dependsOn: ['db.1', 'db.2'], cwd: folder, log: { file: join(folder, 'logs', 'web.log') } });
  expect(web?.env).toContain('HOLDFAST_SYSNAME=edge');
  expect(web?.env.filter((pair) => /^(PWD|SHLVL|_|npm_\w+)=/.test(pair))).toEqual([]);
});

test('what only the library refuses is told at its key', () => {
  const refused = (text: string): string => {
    try {
      plan(text);
    } catch (error) {
      return (error as Error).message.replaceAll(`${folder}/`, '');
    }
    return 'accepted';
  };
  expect(refused(`processes:\n  web.x:\n    nice: 1\n    run: node "a\n`)).toMatch(
    /^holdfast\.yaml:5:5: processes\.web\.x\.run: a " is not closed/,
  );
  expect(refused('processes:\n  web: {run: x, envFile: none.env}')).toMatch(
    /^holdfast\.yaml:3:17: processes\.web\.envFile: can't be read: ENOENT/,
  );
});

test('from any set of dependencies to any other there is no circle in between', () => {
  const graphs = fc.array(fc.subarray([0, 1, 2, 3]), { minLength: 4, maxLength: 4 }).chain((edges) =>
    fc.shuffledSubarray([0, 1, 2, 3], { minLength: 1 }).map((order) => {
      // An edge only to what comes earlier in some order: so there is no circle.
      const lines = order.map(
        (n, i) =>
          `  p${n}: {run: x, dependsOn: [${order
            .slice(0, i)
            .filter((m) => edges[n]?.includes(m))
            .map((m) => `p${m}`)}]}`,
      );
      return `processes:\n${lines.reverse().join('\n')}\n`;
    }),
  );
  fc.assert(
    fc.property(graphs, graphs, (from, to) => {
      const operator = new FakeOperator();
      rmSync(join(folder, 'spec'), { recursive: true });
      mkdirSync(join(folder, 'spec'));
      apply(operator, plan(from));
      const target = plan(to);
      apply(operator, target);
      expect([...operator.specs.keys()].sort()).toEqual(target.specs.map((spec) => spec.name).sort());
    }),
    { numRuns: 50 },
  );
});

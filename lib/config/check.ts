import type { ProcessSpec } from '../manager/types.js';
import { findCircle } from './depends.js';
import type { Path } from './document.js';
import { nameProblem } from './names.js';
import { didYouMean } from './suggest.js';

/** Reports one problem at a key. */
export type Report = (path: Path, text: string) => void;

const PROCESS_MAX = 512; // HF_PROCESS_MAX

/** A definition, and the names of the processes that it makes (`web.1`, `web.2` with instances). */
export interface Named {
  readonly spec: ProcessSpec;
  readonly names: readonly string[];
}

function dependenciesOf(spec: ProcessSpec): readonly string[] {
  return typeof spec.dependsOn === 'string' ? [spec.dependsOn] : (spec.dependsOn ?? []);
}

function checkNames(all: readonly Named[], report: Report): void {
  const owner = new Map<string, string>();
  for (const { spec, names } of all) {
    const path = ['processes', spec.name];
    const [problem] = [spec.name, ...names].flatMap((name) => nameProblem(name) ?? []);
    if (problem !== undefined) report(path, problem);
    for (const name of names) {
      const other = owner.get(name);
      if (other !== undefined) report(path, `"${name}" would be made twice, by "${other}" too: rename one of them`);
      owner.set(name, spec.name);
    }
  }
  if (owner.size > PROCESS_MAX) report(['processes'], `${owner.size} processes are too many: at most ${PROCESS_MAX}`);
}

function checkDepends(all: readonly Named[], report: Report): void {
  const maker = new Map<string, string>();
  for (const { spec, names } of all) {
    maker.set(spec.name, spec.name);
    for (const name of names) maker.set(name, spec.name);
  }
  for (const { spec } of all) {
    const path = ['processes', spec.name, 'dependsOn'];
    dependenciesOf(spec).forEach((name, index) => {
      if (maker.has(name)) return;
      const where = Array.isArray(spec.dependsOn) ? [...path, index] : path;
      report(
        where,
        `there is no process "${name}"${didYouMean(name, maker.keys())}; known: ${all.map((one) => one.spec.name).join(', ')}`,
      );
    });
  }
  const graph = new Map(all.map(({ spec }) => [spec.name, dependenciesOf(spec).map((name) => maker.get(name) ?? name)]));
  const circle = findCircle(graph);
  if (circle !== undefined) {
    report(
      ['processes', circle[0] ?? '', 'dependsOn'],
      `a circle: ${circle.join(' -> ')}; take one of these dependencies out`,
    );
  }
}

function checkPolicies({ spec }: Named, report: Report): void {
  const path = ['processes', spec.name];
  if (spec.start === 'on-demand' && spec.restart !== undefined && spec.restart !== 'never') {
    report(
      [...path, 'restart'],
      `an on-demand process runs to completion and is not restarted: take "restart: ${spec.restart}" out`,
    );
  }
  if (spec.startTimeoutMs !== undefined && spec.ready !== 'call' && spec.heartbeatMs === undefined) {
    report(
      [...path, 'startTimeout'],
      'counts only with "ready: call" or "heartbeat": add one of them, or take startTimeout out',
    );
  }
  if (spec.startTimeoutMs === 0 && spec.heartbeatMs !== undefined) {
    report([...path, 'startTimeout'], 'expected more than 0s: with "heartbeat" somebody must beat by then');
  }
  const { fromMs = 100, maxMs = 30_000 } = spec.backoff ?? {};
  if (fromMs > maxMs) report([...path, 'backoff'], `from (${fromMs} ms) is longer than max (${maxMs} ms): raise max`);
  if (spec.limit !== undefined && spec.limit.withinMs <= 0) report([...path, 'limit', 'within'], 'expected more than 0s');
}

/** What no schema can say: names, dependencies, and keys that contradict each other. */
export function checkProcesses(all: readonly Named[], report: Report): void {
  checkNames(all, report);
  checkDepends(all, report);
  for (const one of all) checkPolicies(one, report);
}

/** Processes with instances: `web` with 3 of them is `web.1`, `web.2`, `web.3`. */
import { ValueError } from '../errors.js';
import { integerFrom } from './check.js';
import { dependencies } from './spec.js';
import type { ProcessSpec } from './types.js';

/** As many as an instance of Holdfast holds (HF_PROCESS_MAX). */
const INSTANCES_MAX = 512;

/** The names of the processes that a definition makes. */
export function instanceNames({ name, instances }: Pick<ProcessSpec, 'name' | 'instances'>): string[] {
  const count = integerFrom({ process: name, option: 'instances' }, instances, 1, 1, INSTANCES_MAX);
  return count === 1 ? [name] : Array.from({ length: count }, (_, index) => `${name}.${index + 1}`);
}

/**
 * Definitions of one process each. A dependency on the name of a process with instances becomes one on all of them; `known` are
 * names that exist already.
 */
export function expandInstances(specs: readonly ProcessSpec[], known: Iterable<string> = []): ProcessSpec[] {
  const groups = new Map(specs.map((spec) => [spec.name, instanceNames(spec)]));
  const others = [...known];
  return specs.flatMap((spec) => {
    const names = groups.get(spec.name) ?? [];
    const dependsOn = dependencies(spec).flatMap((name) => {
      const meant = groups.get(name) ?? matchNames(name, others);
      return meant.length > 0 ? meant : [name];
    });
    const circle = dependsOn.find((name) => names.includes(name));
    if (circle !== undefined) throw new ValueError(`${spec.name}: it depends on itself: take ${circle} out of dependsOn`);
    return names.map((name) => ({ ...spec, name, instances: 1, dependsOn: [...new Set(dependsOn)] }));
  });
}

/** Those of `known` that `name` means: itself, else its instances in order of their numbers, else none. */
export function matchNames(name: string, known: Iterable<string>): string[] {
  const all = [...known];
  if (all.includes(name)) return [name];
  const numberOf = (other: string) => {
    const rest = other.startsWith(`${name}.`) ? other.slice(name.length + 1) : '';
    return /^[1-9]\d*$/.test(rest) ? Number(rest) : 0;
  };
  return all.filter((other) => numberOf(other) > 0).sort((a, b) => numberOf(a) - numberOf(b));
}

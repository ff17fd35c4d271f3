import { describe, expect, test } from 'vitest';
import { expandInstances, instanceNames, matchNames } from '../../lib/manager/instances.js';
import { toNativeSpec } from '../../lib/manager/spec.js';
import type { ProcessSpec } from '../../lib/manager/types.js';

const defaults = { logDir: '' };

describe('instances', () => {
  test('are numbered from 1', () => {
    expect(instanceNames({ name: 'web', instances: 3 })).toEqual(['web.1', 'web.2', 'web.3']);
    expect(instanceNames({ name: 'web' })).toEqual(['web']);
    expect(() => instanceNames({ name: 'web', instances: 0 })).toThrow(
      /^web: instances must be a whole number from 1 to 512/,
    );
  });

  test('a dependency on a name with instances means all of them', () => {
    const specs: ProcessSpec[] = [
      { name: 'web', run: 'true', instances: 2, dependsOn: ['db', 'cache'] },
      { name: 'db', run: 'true', instances: 2 },
    ];
    const expanded = expandInstances(specs, ['cache.1', 'cache.2', 'other']);
    expect(expanded.map(({ name, dependsOn }) => [name, dependsOn])).toEqual([
      ['web.1', ['db.1', 'db.2', 'cache.1', 'cache.2']],
      ['web.2', ['db.1', 'db.2', 'cache.1', 'cache.2']],
      ['db.1', []],
      ['db.2', []],
    ]);
    expect(expanded.every((spec) => toNativeSpec(spec, defaults).name === spec.name)).toBe(true);
  });

  test('an unknown dependency stays as it is written', () => {
    expect(expandInstances([{ name: 'web', run: 'true', dependsOn: 'db' }])[0]?.dependsOn).toEqual(['db']);
  });

  test('on oneself is refused', () => {
    expect(() => expandInstances([{ name: 'web', run: 'true', instances: 2, dependsOn: 'web' }])).toThrow(
      /depends on itself/,
    );
  });

  test('the number counts for the length of a name', () => {
    const [first] = expandInstances([{ name: 'a'.repeat(30), run: 'true', instances: 2 }]);
    expect(() => toNativeSpec(first as ProcessSpec, defaults)).toThrow(/less than 32 characters/);
  });

  test('a name means itself, else its instances in order', () => {
    const known = ['web.10', 'web.2', 'web.1', 'web.x', 'web.01', 'db', 'db.1', 'webs.1'];
    expect(matchNames('web', known)).toEqual(['web.1', 'web.2', 'web.10']);
    expect(matchNames('db', known)).toEqual(['db']);
    expect(matchNames('web.2', known)).toEqual(['web.2']);
    expect(matchNames('none', known)).toEqual([]);
  });
});

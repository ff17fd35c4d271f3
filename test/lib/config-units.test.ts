import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dependenciesFirst, findCircle } from '../../lib/config/depends.js';
import { parseDuration } from '../../lib/config/duration.js';
import { foregroundEnvironment, inheritedEnvironment } from '../../lib/config/environment.js';
import { jsonSchema } from '../../lib/config/json-schema.js';
import { parseSize } from '../../lib/config/size.js';
import { didYouMean, nearest } from '../../lib/config/suggest.js';

test.each([
  ['500ms', 500],
  ['10s', 10_000],
  ['1.5s', 1500],
  ['5m', 300_000],
  ['1h', 3_600_000],
  ['0s', 0],
])('duration %s', (text, ms) => expect(parseDuration(text)).toBe(ms));

test.each(['', '10', 's', '10 s', '-1s', '1d', '1e3s', '10S', '.5s', '1s '])('no duration: %j', (text) =>
  expect(parseDuration(text)).toBeNaN(),
);

test.each([
  ['1B', 1],
  ['512KB', 524_288],
  ['10MB', 10_485_760],
  ['1.5GB', 1_610_612_736],
])('size %s', (text, bytes) => expect(parseSize(text)).toBe(bytes));

test.each(['', '10', '10M', '10mb', 'MB', '-1KB'])('no size: %j', (text) => expect(parseSize(text)).toBeNaN());

test('a near word is suggested, a far one is not', () => {
  expect(nearest('alway', ['never', 'always'])).toBe('always');
  expect(nearest('stauts', ['stop', 'status', 'start'])).toBe('status');
  expect(nearest('zork', ['never', 'always'])).toBeUndefined();
  expect(didYouMean('WEB', ['web'])).toBe(' (did you mean "web"?)');
  expect(didYouMean('x', [])).toBe('');
});

test('what only describes the shell is not inherited', () => {
  const kept = inheritedEnvironment({
    PATH: '/bin',
    HOME: '/root',
    PWD: '/x',
    OLDPWD: '/y',
    SHLVL: '3',
    _: '/usr/bin/node',
    COLUMNS: '80',
    npm_lifecycle_event: 'x',
    HOLDFAST_ATTACH: 'a',
    HOLDFAST_HEARTBEAT: '500',
    HOLDFAST_ID: 'b',
    HOLDFAST_DIR: '/x',
    HOLDFAST_INSTANCE: 'c',
    NOTIFY_SOCKET: '/run/systemd/notify',
    WATCHDOG_PID: '1',
    WATCHDOG_USEC: '1000',
    LISTEN_FDS: '1',
    LISTEN_PID: '1',
    LISTEN_FDNAMES: 'x',
    EMPTY: '',
    GONE: undefined,
  });
  expect(kept).toEqual({ PATH: '/bin', HOME: '/root', EMPTY: '' });
});

test('holdfastd in the foreground hears what systemd says, and nothing more', () => {
  const systemd = { NOTIFY_SOCKET: '/run/systemd/notify', WATCHDOG_PID: '1', WATCHDOG_USEC: '1000' };
  expect(foregroundEnvironment({ ...systemd, PATH: '/bin', PWD: '/x', LISTEN_FDS: '1' })).toEqual({
    ...systemd,
    PATH: '/bin',
  });
  expect(foregroundEnvironment({ PATH: '/bin', NOTIFY_SOCKET: undefined })).toEqual({ PATH: '/bin' });
});

describe('dependencies', () => {
  test('an order in which nothing comes before what it needs, else as given', () => {
    const graph = new Map([
      ['web', ['db', 'cache']],
      ['cache', []],
      ['db', ['disk']],
      ['disk', []],
    ]);
    expect(dependenciesFirst(graph)).toEqual(['disk', 'db', 'cache', 'web']);
  });

  const graphs = fc
    .array(fc.array(fc.nat(7), { maxLength: 3 }), { minLength: 1, maxLength: 8 })
    .map((edges) => new Map(edges.map((to, from) => [`n${from}`, to.filter((n) => n < edges.length).map((n) => `n${n}`)])));

  test('a circle is a circle, and where there is none the order holds', () => {
    fc.assert(
      fc.property(graphs, (graph) => {
        const circle = findCircle(graph);
        if (circle === undefined) {
          const order = dependenciesFirst(graph);
          expect([...order].sort()).toEqual([...graph.keys()].sort());
          for (const [name, needs] of graph)
            for (const one of needs) expect(order.indexOf(one)).toBeLessThan(order.indexOf(name));
          return;
        }
        expect(circle.length).toBeGreaterThan(1);
        expect(circle.at(-1)).toBe(circle[0]);
        for (let i = 1; i < circle.length; i++) expect(graph.get(circle[i - 1] ?? '')).toContain(circle[i]);
      }),
    );
  });
});

test('the JSON schema has every key, and refuses others', () => {
  const schema = jsonSchema() as {
    properties: Record<string, { additionalProperties: { properties: object } }>;
    required: string[];
  };
  expect(schema).toMatchObject({ type: 'object', additionalProperties: false, required: ['processes'] });
  const keys = Object.keys(schema.properties.processes?.additionalProperties.properties ?? {});
  for (const key of ['run', 'cwd', 'env', 'dependsOn', 'backoff', 'limit', 'stopSignal', 'log', 'heartbeat', 'stopped'])
    expect(keys).toContain(key);
  expect(JSON.stringify(schema)).toContain('"enum":["always","on-failure","never"]');
});

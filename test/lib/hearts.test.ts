/** hearts of the addon: holds, and what is refused. */
import { afterEach, describe, expect, test } from 'vitest';
import { native } from '../../lib/native.js';
import { cellOf } from './cells.js';

const { hearts, constants } = native();
const last = constants.cellMax - 1;
hearts.announce(0);
const held: number[] = [];

function claim(kind: 'thread' | 'loop' | 'pool', key: number, name: string): number {
  const cell = hearts.claim(kind, key, name);
  held.push(cell);
  return cell;
}

afterEach(() => {
  for (const cell of held.splice(0)) {
    hearts.deregister(cell);
    hearts.drop(cell);
  }
});

test('the memory is one buffer, and every cell lies in it on a line of its own', () => {
  expect(hearts.memory()).toBe(hearts.memory());
  const offsets = Array.from({ length: constants.cellMax }, (_, cell) => hearts.offset(cell));
  expect(new Set(offsets).size).toBe(constants.cellMax);
  expect(offsets.every((offset) => offset % 64 === 0 && offset + 64 <= hearts.memory().byteLength)).toBe(true);
});

test('the same kind and key is the same cell, released with the last hold', () => {
  const cell = claim('pool', 7, 'seven');
  expect(claim('pool', 7, 'another name')).toBe(cell);
  expect(claim('loop', 7, 'a loop')).not.toBe(cell);
  expect(claim('pool', 2 ** 40, 'far')).not.toBe(cell);
  hearts.drop(held.shift() ?? -1);
  expect(cellOf('seven')).toBeDefined();
  hearts.drop(held.shift() ?? -1);
  expect(cellOf('seven')).toBeUndefined();
});

test('one that is monitored is not released, and found again', () => {
  const cell = hearts.claim('pool', 7, 'seven');
  hearts.register(cell, 60_000, 3);
  hearts.drop(cell);
  expect(cellOf('seven')).toMatchObject({ armed: true, grace: 3 });
  expect(claim('pool', 7, 'seven')).toBe(cell);
});

describe('a cell that is not held here is refused by', () => {
  const calls: Readonly<Record<string, () => void>> = {
    drop: () => hearts.drop(last),
    register: () => hearts.register(last, 1000, 1),
    deregister: () => hearts.deregister(last),
    busy: () => hearts.busy(last, 1, 'x'),
    note: () => hearts.note(last, 'x'),
    captureAlso: () => hearts.captureAlso(last, [1]),
    beatFromLoop: () => hearts.beatFromLoop(last, 10),
    judgeHere: () => hearts.judgeHere(last, 'report'),
  };
  test.each(Object.entries(calls))('%s', (_, call) => {
    expect(call).toThrow(
      expect.objectContaining({ code: 'ERR_HOLDFAST_EINVAL', message: `cell ${last} is not held here: claim it first` }),
    );
  });
});

test.each([
  ['announce', ['x']],
  ['announce', [-1]],
  ['claim', ['heart', 1, 'x']],
  ['claim', ['thread', -1, 'x']],
  ['claim', ['thread', 1, 5]],
  ['offset', [constants.cellMax]],
  ['drop', [-1]],
  ['drop', [Number.NaN]],
  ['register', [0, 'x', 1]],
  ['busy', [0, 1, 5]],
  ['captureAlso', [0, 'x']],
  ['captureAlso', [0, ['x']]],
  ['beatFromLoop', [0, -1]],
  ['judgeHere', [0, 'restart']],
])('%s(%j) is a TypeError', (method, args) => {
  expect(() => Reflect.apply(Reflect.get(hearts, method), hearts, args)).toThrow(TypeError);
});

test('what C refuses has its code', () => {
  const cell = claim('pool', 9, 'nine');
  expect(() => hearts.register(cell, 0, 1)).toThrow(expect.objectContaining({ code: 'ERR_HOLDFAST_EINVAL' }));
  expect(() => hearts.register(cell, 1000, 0)).toThrow(expect.objectContaining({ code: 'ERR_HOLDFAST_EINVAL' }));
  expect(cellOf('nine')?.armed).toBe(false);
});

test('no heartbeat is asked for where no manager is', () => {
  expect(() => hearts.claimHeartbeat()).toThrow(expect.objectContaining({ code: 'ERR_HOLDFAST_ENOTATTACHED' }));
  expect(hearts.canCaptureStacks()).toBe(true);
});

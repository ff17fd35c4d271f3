import { describe, expect, test, vi } from 'vitest';
import { DeadlockDetectedError, ExosError, fromNative, PicklingError, publicly, ValueError } from '../../lib/errors.js';

function nativeError(code: string, extra: object = {}): Error {
  return Object.assign(new Error('what C said'), { code, ...extra });
}

describe('the family', () => {
  test.each([
    [new ExosError('x'), 'ExosError', 'ERR_HOLDFAST_FAILED'],
    [new DeadlockDetectedError('x'), 'DeadlockDetectedError', 'ERR_HOLDFAST_DEADLOCK'],
    [new PicklingError('x'), 'PicklingError', 'ERR_HOLDFAST_PICKLING'],
    [new ValueError('x'), 'ValueError', 'ERR_HOLDFAST_VALUE'],
  ])('%s has its name and code, and is an ExosError and an Error', (error, name, code) => {
    expect(error.name).toBe(name);
    expect(error.code).toBe(code);
    expect(String(error)).toBe(`${name}: x`);
    expect(error.stack).toContain('errors.test');
    expect(error instanceof ExosError).toBe(true);
    expect(error instanceof Error).toBe(true);
  });

  test('siblings are told apart', () => {
    expect(new ValueError('x') instanceof PicklingError).toBe(false);
    expect(new ExosError('x') instanceof ValueError).toBe(false);
    expect(new Error('x') instanceof ExosError).toBe(false);
  });

  test('what is no object is no error of ours', () => {
    for (const value of [undefined, null, 1, 'ExosError', () => 1])
      expect((value as unknown) instanceof ExosError).toBe(false);
  });

  test('a class of a program that extends one of ours recognises its own only', () => {
    class Mine extends ValueError {}
    expect(new Mine('x') instanceof Mine).toBe(true);
    expect(new Mine('x') instanceof ValueError).toBe(true);
    expect(new ValueError('x') instanceof Mine).toBe(false);
  });

  test('instanceof holds across copies of the package', async () => {
    vi.resetModules();
    const other = await import('../../lib/errors.js');
    expect(other.ValueError).not.toBe(ValueError);
    expect(new other.ValueError('x') instanceof ValueError).toBe(true);
    expect(new ValueError('x') instanceof other.ExosError).toBe(true);
    expect(new other.ExosError('x') instanceof ValueError).toBe(false);
  });

  test('a cause is carried only where there is one', () => {
    const cause = new Error('first');
    expect(new ValueError('x', { cause }).cause).toBe(cause);
    expect('cause' in new ValueError('x')).toBe(false);
  });
});

describe('an error of C becomes a public one', () => {
  test.each([
    ['ERR_HOLDFAST_ENAME', 'ERR_HOLDFAST_VALUE', ValueError],
    ['ERR_HOLDFAST_EINVAL', 'ERR_HOLDFAST_VALUE', ValueError],
    ['ERR_HOLDFAST_ESPEC', 'ERR_HOLDFAST_VALUE', ValueError],
    ['ERR_HOLDFAST_ECIRCLE', 'ERR_HOLDFAST_VALUE', ValueError],
    ['ERR_HOLDFAST_EDEADLOCK', 'ERR_HOLDFAST_DEADLOCK', DeadlockDetectedError],
    ['ERR_HOLDFAST_EUNKNOWN', 'ERR_HOLDFAST_UNKNOWN_PROCESS', ExosError],
    ['ERR_HOLDFAST_ENOMANAGER', 'ERR_HOLDFAST_NO_MANAGER', ExosError],
    ['ERR_HOLDFAST_ECLOSED', 'ERR_HOLDFAST_SHUTDOWN', ExosError],
    ['ERR_HOLDFAST_EBUSY', 'ERR_HOLDFAST_BUSY', ExosError],
    ['ERR_HOLDFAST_ENOSPC', 'ERR_HOLDFAST_NOSPC', ExosError],
  ])('%s as %s', (from, to, family) => {
    const error = fromNative(nativeError(from)) as ExosError;
    expect(error).toBeInstanceOf(family);
    expect(error.code).toBe(to);
    expect(error.message).toBe('what C said');
    expect(error.cause).toMatchObject({ code: from });
  });

  test('errno and syscall are carried over', () => {
    const error = fromNative(nativeError('ERR_HOLDFAST_ESYS', { errno: -13, syscall: 'open' }));
    expect(error).toMatchObject({ code: 'ERR_HOLDFAST_SYS', errno: -13, syscall: 'open' });
    expect('errno' in (fromNative(nativeError('ERR_HOLDFAST_EBUSY')) as object)).toBe(false);
  });

  test('anything else comes through as it is', () => {
    const error = new TypeError('another');
    expect(fromNative(error)).toBe(error);
    const ours = new ValueError('x');
    expect(fromNative(ours)).toBe(ours);
    expect(() =>
      publicly(() => {
        throw error;
      }),
    ).toThrow(error);
    expect(publicly(() => 7)).toBe(7);
  });
});

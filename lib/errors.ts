/**
 * The errors of holdfast: one family, each with a `code`.
 *
 * `instanceof` holds across copies of the package: a class recognises the brand that its prototype carries, whichever copy made it.
 */
import type { NativeError } from './native.js';

/** `ERR_HOLDFAST_VALUE`, `_PICKLING`, `_DEADLOCK`, `_UNKNOWN_PROCESS`, `_NO_MANAGER`, `_SHUTDOWN`, `_TIMEOUT`, … */
export type ErrorCode = `ERR_HOLDFAST_${string}`;

/** What an error carries beside its message. */
export interface ExosErrorOptions extends ErrorOptions {
  code?: ErrorCode;
  /** The kernel's error as Node writes it: negative, for `util.getSystemErrorName`. */
  errno?: number;
  /** The kernel call that failed. */
  syscall?: string;
}

/** The brand of each class of this copy; a class that a program derives from one of them has none. */
const brands = new Map<object, symbol>();

function brand(family: { prototype: object }, name: string): void {
  const symbol = Symbol.for(`holdfast.errors.${name}`);
  brands.set(family, symbol);
  Object.defineProperty(family.prototype, symbol, { value: true });
  Object.defineProperty(family.prototype, 'name', { value: name, configurable: true, writable: true });
}

/**
 * The base of all errors of holdfast.
 *
 * Documented as `ExosError` on the EXOS "System" page.
 */
export class ExosError extends Error {
  /** What went wrong, for programs. */
  readonly code: ErrorCode;
  /** Where the kernel said no: its error, negative as in Node. */
  declare readonly errno?: number;
  /** Where the kernel said no: the call. */
  declare readonly syscall?: string;

  constructor(message: string, options: ExosErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = options.code ?? 'ERR_HOLDFAST_FAILED';
    if (options.errno !== undefined) this.errno = options.errno;
    if (options.syscall !== undefined) this.syscall = options.syscall;
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    const mark = brands.get(this);
    if (mark === undefined) return Function.prototype[Symbol.hasInstance].call(this, value);
    return typeof value === 'object' && value !== null && mark in value;
  }
}
brand(ExosError, 'ExosError');

/**
 * A blocking call that could never end: it was not begun. The message says why.
 *
 * Documented as `DeadlockDetectedError` on the EXOS "System" page.
 */
export class DeadlockDetectedError extends ExosError {
  constructor(message: string, options?: ErrorOptions) {
    super(message, { ...options, code: 'ERR_HOLDFAST_DEADLOCK' });
  }
}
brand(DeadlockDetectedError, 'DeadlockDetectedError');

/** A value that can't travel to another process. The message says which, and how to mend it. */
export class PicklingError extends ExosError {
  constructor(message: string, options?: ErrorOptions) {
    super(message, { ...options, code: 'ERR_HOLDFAST_PICKLING' });
  }
}
brand(PicklingError, 'PicklingError');

/** A value that is not allowed. The message says the option, what was expected, what was given, and the fix. */
export class ValueError extends ExosError {
  constructor(message: string, options?: ErrorOptions) {
    super(message, { ...options, code: 'ERR_HOLDFAST_VALUE' });
  }
}
brand(ValueError, 'ValueError');

/** Native codes whose public name is another one; every other keeps its name without the E. */
const publicCodes: Readonly<Record<string, ErrorCode>> = {
  ERR_HOLDFAST_ENAME: 'ERR_HOLDFAST_VALUE',
  ERR_HOLDFAST_EINVAL: 'ERR_HOLDFAST_VALUE',
  ERR_HOLDFAST_ESPEC: 'ERR_HOLDFAST_VALUE',
  ERR_HOLDFAST_ECIRCLE: 'ERR_HOLDFAST_VALUE',
  ERR_HOLDFAST_EUNKNOWN: 'ERR_HOLDFAST_UNKNOWN_PROCESS',
  ERR_HOLDFAST_ENOMANAGER: 'ERR_HOLDFAST_NO_MANAGER',
  ERR_HOLDFAST_EDEADLOCK: 'ERR_HOLDFAST_DEADLOCK',
  ERR_HOLDFAST_ECLOSED: 'ERR_HOLDFAST_SHUTDOWN',
};

/** True for an error that the addon threw because the C library said no. */
export function isNativeError(error: unknown): error is NativeError {
  return (
    error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('ERR_HOLDFAST_E')
  );
}

/** The public error for what a native call threw; anything else comes back as it is. */
export function fromNative(error: unknown): unknown {
  if (!isNativeError(error) || error instanceof ExosError) return error;
  const code = publicCodes[error.code] ?? (`ERR_HOLDFAST_${error.code.slice('ERR_HOLDFAST_E'.length)}` as ErrorCode);
  if (code === 'ERR_HOLDFAST_VALUE') return new ValueError(error.message, { cause: error });
  if (code === 'ERR_HOLDFAST_DEADLOCK') return new DeadlockDetectedError(error.message, { cause: error });
  const options: ExosErrorOptions = { code, cause: error };
  if (error.errno !== undefined) options.errno = error.errno;
  if (error.syscall !== undefined) options.syscall = error.syscall;
  return new ExosError(error.message, options);
}

/** Runs a native call and lets it throw the public error. */
export function publicly<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw fromNative(error);
  }
}

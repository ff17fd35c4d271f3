import { inspect } from 'node:util';

/** A short look at a value, for messages. */
export function show(value: unknown): string {
  const text = inspect(value, { depth: 1, breakLength: Number.POSITIVE_INFINITY, maxStringLength: 60, maxArrayLength: 8 });
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}

import * as z from 'zod';
import { fileSchema } from './schema.js';

/** JSON Schema of holdfast.yaml, for editors. */
export function jsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(fileSchema, { target: 'draft-7', io: 'input' });
  return { ...schema, title: 'holdfast.yaml', description: 'The processes that Holdfast keeps alive' };
}

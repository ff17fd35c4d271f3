/** Run at build: writes the JSON Schema of holdfast.yaml to the path given, else beside the compiled library. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { jsonSchema } from './json-schema.js';

const target = process.argv[2] ?? fileURLToPath(new URL('../holdfast.schema.json', import.meta.url));
writeFileSync(target, `${JSON.stringify(jsonSchema(), null, 2)}\n`);

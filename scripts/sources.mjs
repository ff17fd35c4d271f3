// SPDX-License-Identifier: MIT
// Writes native/core/sources.gypi, the one list of sources that CMake and binding.gyp read, from the files on disk.
// With --check it changes nothing and exits 1 where the list and the disk differ.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const listFile = join(root, 'native/core/sources.gypi');

function filesUnder(folder, ending) {
  return readdirSync(join(root, folder), { recursive: true })
    .map((file) => join(folder, file))
    .filter((file) => file.endsWith(ending))
    .sort();
}

const wanted = {
  variables: { core_sources: filesUnder('native/core', '.c'), addon_sources: filesUnder('native/glue', '.cc') },
};

if (process.argv.includes('--check')) {
  const { variables: listed } = JSON.parse(readFileSync(listFile, 'utf8'));
  const differences = Object.entries(wanted.variables).flatMap(([key, onDisk]) => [
    ...onDisk.filter((file) => !listed[key].includes(file)).map((file) => `${file} is not in ${key}`),
    ...listed[key].filter((file) => !onDisk.includes(file)).map((file) => `${file} is in ${key}, but not on disk`),
  ]);
  for (const difference of differences) console.error(`sources: ${difference}: run \`npm run sources\``);
  process.exit(differences.length > 0 ? 1 : 0);
}
writeFileSync(listFile, `${JSON.stringify(wanted, null, 2)}\n`);

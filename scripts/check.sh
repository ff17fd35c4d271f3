#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `npm run check`: all that can be judged without running anything. Goes through every step, and fails if one did.
set -u
cd "$(dirname "$0")/.." || exit 1
export PATH="$PWD/node_modules/.bin:$PATH"
failed=()

step() {
  echo "== $1"
  shift
  "$@" || failed+=("$1")
}

c_files() { find native test -name '*.[ch]' -print0; }
glue_files() { find native -name '*.cc' -print0 -o -name '*.hpp' -print0; }

need() {
  command -v "$1" >/dev/null && return
  echo "check: $1 is missing: install the Debian package ${2:-$1}"
  return 1
}

format_c() {
  need clang-format-19 || return 1
  { c_files; glue_files; } | xargs -0 clang-format-19 --dry-run --Werror
}

tidy_c() {
  need clang-tidy-19 && need cmake || return 1
  cmake --preset release >/dev/null || return 1 # writes compile_commands.json
  find native/core native/daemon -name '*.c' -print0 |
    xargs -0 -P "$(nproc)" -n 4 clang-tidy-19 -p out/release --quiet 2> >(grep -vE 'warnings generated|Processing file' >&2)
}

step 'sources: the list and the disk' node scripts/sources.mjs --check
step 'biome: format and lint of TypeScript and JSON' biome ci --colors=off --error-on-warnings
step 'tsc: types' tsc --noEmit
step 'clang-format: format of C' format_c
step 'clang-tidy: lint of C' tidy_c

if ((${#failed[@]})); then
  echo "check: failed: ${failed[*]} (\`npm run format\` repairs what is only format)"
  exit 1
fi
echo 'check: all is well'

#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `npm run format`: brings C, C++, TypeScript and JSON into the format that `npm run check` asks for.
set -u
cd "$(dirname "$0")/.." || exit 1
status=0
node_modules/.bin/biome check --write || status=1 # what it can't repair keeps the C from nothing
if ! command -v clang-format-19 >/dev/null; then
  echo 'format: clang-format-19 is missing: install the Debian package clang-format-19'
  exit 1
fi
find native test \( -name '*.[ch]' -o -name '*.cc' -o -name '*.hpp' \) -print0 | xargs -0 clang-format-19 -i || status=1
exit "$status"

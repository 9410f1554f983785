#!/usr/bin/env bash
# Generates a client from docs/openapi.json, checks its types together with the program in tests/typescript, and makes a film with it.
# Prints what the program says. The argument is a folder to work in.
# Environment: SPOOL_API, SPOOL_KEY.
set -euo pipefail
cd "$(dirname "$0")/.."

work=${1:?folder to work in}
mkdir -p "$work"
cp -r tests/typescript/*.json tests/typescript/src "$work"
export OPENAPI=$PWD/docs/openapi.json PHOTOS=$PWD/examples/lodge
cd "$work"
npm ci --no-audit --no-fund --silent >&2
npm run --silent generate >&2
npm run --silent build >&2
npm run --silent film

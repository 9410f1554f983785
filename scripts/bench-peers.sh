#!/usr/bin/env bash
# Installs the job queues that Spool is measured beside into a folder, each from its own package file and lock file in
# bench/peers. One that cannot be installed is left out: the benchmark then says so. The argument is the folder.
set -uo pipefail

folder=$(mkdir -p "${1:?the folder}" && cd "$1" && pwd)
cd "$(dirname "$0")/../bench/peers" || exit 1

echo "peers in Rust: apalis-postgres, awa, graphile_worker, riverqueue"
cargo build --release --locked --keep-going --manifest-path rust/Cargo.toml --target-dir "$folder" \
  || echo "some of them were not built"

echo "peers on Node: graphile-worker, pg-boss"
mkdir -p "$folder/node" && cp node/*.mjs node/package.json node/package-lock.json "$folder/node/"
# They want a newer Node than a system may have: one comes as a package.
(cd "$folder/node" && npm ci --no-audit --no-fund --engine-strict=false --loglevel=error) || echo "they were not installed"

echo "peers in Python: procrastinate"
mkdir -p "$folder/python" && cp python/*.py "$folder/python/"
{ [[ -x $folder/python/bin/python ]] || python3 -m venv "$folder/python"; } \
  && "$folder/python/bin/pip" install --quiet --disable-pip-version-check -r python/requirements.txt \
  || echo "it was not installed"

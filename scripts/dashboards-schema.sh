#!/usr/bin/env bash
# Checks every dashboard of a folder against the types that Grafana publishes (grafana/schema).
# The arguments are a folder to work in and the folder of dashboards; without the second, grafana/dashboards.
set -euo pipefail
cd "$(dirname "$0")/.."

work=${1:?folder to work in}
boards=$(realpath "${2:-grafana/dashboards}")
mkdir -p "$work"
cp -r grafana/schema/*.json grafana/schema/literals.mjs grafana/schema/src "$work"
cd "$work"
npm ci --no-audit --no-fund --silent >&2
node literals.mjs "$boards" src
npm run --silent check

#!/usr/bin/env bash
# Starts everything in a folder of its own and measures the API under load. The argument is the folder of the built programs; what
# follows goes to `spool-bench http`.
set -euo pipefail

programs=${1:?folder of the programs}
shift
data=$(mktemp -d)
chmod 755 "$data"
"$programs/spool" dev --json --data-dir "$data" --api-port 0 --simulator-port 0 --speed 20 >"$data/ready.json" &
dev=$!
stop() {
  kill -INT "$dev" 2>/dev/null || true
  wait "$dev" || true
  rm -rf "$data"
}
trap stop EXIT

for _ in $(seq 600); do
  [[ -s $data/ready.json ]] && break
  kill -0 "$dev"
  sleep 0.1
done
read -r api key database < <(python3 -c '
import json, sys
ready = json.load(open(sys.argv[1]))
print(ready["api"], ready["key"], ready["database_url"])' "$data/ready.json")
SPOOL_KEY=$key DATABASE_URL=$database "$programs/spool-bench" http --api "$api" "$@"

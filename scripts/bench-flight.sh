#!/usr/bin/env bash
# Starts everything in a folder of its own with one worker, puts thousands of predictions into flight and measures that worker.
# The argument is the folder of the built programs; what follows goes to `spool-bench flight`.
set -euo pipefail

programs=${1:?folder of the programs}
shift
speed=4
data=$(mktemp -d)
chmod 755 "$data"
# Models and limits four times as fast as the real ones, so that two thousand are bought in less than a minute.
REPLICATE_CREATES_PER_MINUTE=2400 "$programs/spool" dev --json --data-dir "$data" --api-port 0 --simulator-port 0 --speed $speed --cheap-media \
  >"$data/ready.json" &
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
read -r api simulator key database worker < <(python3 -c '
import json, sys
ready = json.load(open(sys.argv[1]))
print(ready["api"], ready["simulator"], ready["key"], ready["database_url"], ready["worker_pids"][0])' "$data/ready.json")
SPOOL_KEY=$key DATABASE_URL=$database "$programs/spool-bench" flight --api "$api" --simulator "$simulator" --worker "$worker" --speed $speed "$@"

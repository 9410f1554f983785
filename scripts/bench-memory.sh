#!/usr/bin/env bash
# Starts everything in a folder of its own, makes a film and moves 20 MB in and out meanwhile, then 200 MB, and prints the
# peak memory of the API and the worker (without its FFmpeg children) after both. Fails when the API's differ by more than
# 20 MB. The argument is the folder of the built programs.
set -euo pipefail

programs=${1:?folder of the programs}
data=$(mktemp -d)
chmod 755 "$data"
"$programs/spool" dev --json --data-dir "$data" --api-port 0 --simulator-port 0 --speed 60 >"$data/ready.json" &
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
read -r api key worker < <(python3 -c '
import json, sys
ready = json.load(open(sys.argv[1]))
print(ready["api"], ready["key"], ready["worker_pids"][0])' "$data/ready.json")
api_pid=$(pgrep -P "$dev" -x spool-api)
SPOOL_KEY=$key "$programs/spool-bench" memory --api "$api" --pids "$api_pid,$worker"

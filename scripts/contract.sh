#!/usr/bin/env bash
# Whether the API keeps to its document, seen by programs that others have written: a client that openapi-typescript generates makes a
# film, Chromium plays it and draws the reference page, and schemathesis asks for whatever the document allows, and for what it does not.
# The argument is the folder of the built programs. Pictures and reports stay in contract/ beside it.
set -euo pipefail
cd "$(dirname "$0")/.."

programs=${1:?folder of the programs}
out=$programs/../contract
mkdir -p "$out"
out=$(cd "$out" && pwd)
data=$(mktemp -d)
chmod 755 "$data"
"$programs/spool" dev --json --data-dir "$data" --api-port 0 --simulator-port 0 --speed 120 >"$data/ready.json" &
dev=$!
stop() {
  kill -INT "$dev" 2>/dev/null || true
  wait "$dev" || true
  rm -rf "$data"
}
trap stop EXIT

for _ in $(seq 1200); do
  [[ -s $data/ready.json ]] && break
  kill -0 "$dev"
  sleep 0.1
done
read -r SPOOL_API SPOOL_KEY < <(python3 -c '
import json, sys
ready = json.load(open(sys.argv[1]))
print(ready["api"], ready["key"])' "$data/ready.json")
export SPOOL_API SPOOL_KEY PICTURES=$out

echo "== a generated client makes a film"
film=$(scripts/typescript-client.sh "$out/typescript")
echo "$film"

echo "== a browser plays it"
read -r FILM FILM_SECONDS < <(python3 -c '
import json, sys
film = json.loads(sys.argv[1])
print(film["video_url"], film["seconds"])' "$film")
export FILM FILM_SECONDS
node tests/browser/film.mjs

echo "== a browser draws the reference page"
node tests/browser/reference.mjs

echo "== schemathesis"
scripts/schemathesis.sh "$out/schemathesis"

#!/usr/bin/env bash
# What the collector's figures, a look at the invariants and the doctor cost with one million finished jobs. Starts everything in a folder of
# its own; the argument is the folder of the built programs.
set -euo pipefail

programs=${1:?folder of the programs}
here=$(cd "$(dirname "$0")/.." && pwd)
data=$(mktemp -d)
chmod 755 "$data"
"$programs/spool" dev --json --data-dir "$data" --api-port 0 --simulator-port 0 >"$data/ready.json" &
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
read -r api database < <(python3 -c '
import json, sys
ready = json.load(open(sys.argv[1]))
print(ready["api"], ready["database_url"])' "$data/ready.json")
export DATABASE_URL=$database SPOOL_MEDIA_URL=$data/media
ask() { psql -X -q -A -t -v ON_ERROR_STOP=1 "$database" "$@"; }
median() { sort -n | awk '{ all[NR] = $1 } END { printf "%.1f", all[int((NR + 1) / 2)] }'; }

echo "making one million finished jobs"
ask -f "$here/bench/million.sql" >/dev/null

# Each scrape finds them old and works them out anew; the first one warms what is cached.
work_out() {
  ask -q -c "UPDATE figures SET at = '-infinity'" >/dev/null
  curl -sf "$api/metrics" >/dev/null
}
work_out
for _ in $(seq 21); do
  work_out
  ask -c "SELECT part || ' ' || cost_ms FROM figures" >>"$data/costs"
done
echo "figures, median of 21, in ms, with every round trip:"
total=0
for part in quick thorough; do
  cost=$(awk -v part="$part" '$1 == part { print $2 }' "$data/costs" | median)
  total=$(awk -v a="$total" -v b="$cost" 'BEGIN { print a + b }')
  echo "  $part: $cost"
done

# What Postgres says of each statement.
ask -c "ALTER SYSTEM SET log_min_duration_statement = 0" -c "SELECT pg_reload_conf()" >/dev/null
work_out
log=$data/logs/postgres.log
from=$(($(wc -l <"$log") + 1))
for _ in $(seq 5); do work_out; done
ask -c "ALTER SYSTEM RESET log_min_duration_statement" -c "SELECT pg_reload_conf()" >/dev/null
echo "each statement, median of 5 executions in ms, the ten dearest:"
tail -n "+$from" "$log" | python3 -c '
import collections, re, statistics, sys
text = re.split(r"\n(?=[^\n]*LOG: )", sys.stdin.read())
times = collections.defaultdict(list)
for entry in text:
    found = re.search(r"duration: ([0-9.]+) ms  execute [^:]*: (.*)", entry, re.S)
    if found:
        times[" ".join(found[2].split())[:110]].append(float(found[1]))
for words, all in sorted(times.items(), key=lambda one: -statistics.median(one[1]))[:10]:
    print(f"  {statistics.median(all):7.2f}  {words}")'

echo "a look at the invariants, each in ms (every minute, once for the fleet):"
for _ in $(seq 4); do
  ask -c "UPDATE invariants SET at = '-infinity'" >/dev/null
  until [[ $(ask -c "SELECT at > '-infinity' FROM invariants") == t ]]; do sleep 0.2; done
  ask -c "SELECT '  ' || round(cost_ms) FROM invariants"
done
echo "found: $(ask -c "SELECT found FROM invariants")"

for how in "--quick" ""; do
  begin=$(date +%s.%N)
  # shellcheck disable=SC2086
  "$programs/spool" doctor $how >"$data/doctor.txt" 2>&1 || true
  echo "spool doctor $how: $(awk -v b="$begin" -v e="$(date +%s.%N)" 'BEGIN { printf "%.1f s", e - b }')"
done
grep -i invariant "$data/doctor.txt" || true
if awk -v total="$total" 'BEGIN { exit !(total > 20) }'; then
  echo "error: the figures cost $total ms, and 20 is the most that they may" >&2
  exit 1
fi

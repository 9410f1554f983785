#!/usr/bin/env bash
# The long trials of docs/trials.md, one after the other: all of them, or those that are named. Says at the end which held.
# The programs are built before, with the places where tests may kill them: `make trials`.
set -uo pipefail
cd "$(dirname "$0")/.."

all=(sweep chaos budget restart outage limits storm flight)

# A part of the system tests by itself, with what it has to say.
tests() { cargo test --locked -p system-tests --test it -- --nocapture --test-threads=1 "$@"; }

trial() {
  case $1 in
    sweep) SPOOL_TEST_SWEEP=full tests crash_sweep:: ;;
    chaos) SPOOL_TEST_CHAOS_JOBS=200 tests chaos:: ;;
    budget) tests budget:: ;;
    restart) SPOOL_TEST_RENDER_SECONDS=120 tests rolling_restart:: ;;
    outage) SPOOL_TEST_OUTAGE_SECONDS=120 tests provider_outages:: ;;
    # 10 a second for 80 s, so that a whole minute of them can be counted.
    limits) SPOOL_TEST_LIMIT_WORKERS=8 SPOOL_TEST_LIMIT_PER_MINUTE=600 SPOOL_TEST_LIMIT_JOBS=200 tests limits:: ;;
    # The crate's own test, on a Postgres of its own.
    storm)
      SPOOL_STORM_SECONDS=60 "${CARGO_TARGET_DIR:-target}/debug/spool" postgres run -- \
        cargo test --locked -p spool-queue --test it -- --nocapture storm::
      ;;
    flight) make --no-print-directory bench-flight ;;
  esac
}

names=("$@")
if (($# == 0)); then names=("${all[@]}"); fi
for name in "${names[@]}"; do
  if [[ " ${all[*]} " != *" $name "* ]]; then
    echo "error: no trial is called $name; there are: ${all[*]}" >&2
    exit 2
  fi
done

failed=0
said=()
for name in "${names[@]}"; do
  echo "== $name"
  begin=$SECONDS
  if trial "$name"; then word=held; else word=FAILED failed=1; fi
  said+=("$(printf '%-8s %-6s after %d min %02d s' "$name" "$word" $(((SECONDS - begin) / 60)) $(((SECONDS - begin) % 60)))")
done
printf '%s\n' '' "${said[@]}"
exit "$failed"

#!/usr/bin/env bash
# Keeps .sqlx, the stored answers that the checked queries compile against, in step with queries and migrations.
#   scripts/sqlx.sh write                 makes .sqlx again
#   scripts/sqlx.sh check PATH/TO/spool   fails when it is not what the migrations say
# The macros write their answers themselves when SQLX_OFFLINE_DIR is set and a database is there; no sqlx-cli needed.
set -euo pipefail
cd "$(dirname "$0")/.."

mode=${1:?write or check}
work=$(mktemp -d)
roots=()
trap restore EXIT

# A newer crate root makes cargo expand the macros again; its old time comes back afterwards, so that later builds
# do not start over.
restore() {
  local root
  for root in "${roots[@]}"; do touch -r "$work/times/$root" "$root"; done
  rm -rf "$work"
}

case $mode in
  write)
    # Without its schema feature `spool` compiles whatever state .sqlx is in. It is taken out of the build folder,
    # where the whole program belongs.
    built=${CARGO_TARGET_DIR:-target}/debug/spool
    if [[ -e $built ]]; then mv "$built" "$work/whole"; fi
    cargo build --quiet --locked -p spool --no-default-features
    spool=$work/spool
    mv "$built" "$spool"
    if [[ -e $work/whole ]]; then mv "$work/whole" "$built"; fi
    ;;
  check) spool=${2:?path of the spool binary} ;;
  *)
    echo "usage: scripts/sqlx.sh write | check PATH/TO/spool" >&2
    exit 2
    ;;
esac

for root in shared/{queue,db}/src/lib.rs shared/{queue,db}/tests/it/main.rs; do
  if [[ ! -e $root ]]; then continue; fi
  mkdir -p "$work/times/$(dirname "$root")"
  cp -p "$root" "$work/times/$root"
  roots+=("$root")
done
touch "${roots[@]}"

mkdir "$work/sqlx"
"$spool" postgres run --migrations queue=shared/queue/migrations --migrations public=migrations -- \
  env SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$work/sqlx" \
  cargo check --quiet --locked -p spool-queue -p spool-db --all-targets

if [[ $mode == write ]]; then
  rm -rf .sqlx
  cp -r "$work/sqlx" .sqlx
  echo ".sqlx holds $(find .sqlx -name 'query-*.json' | wc -l) queries"
elif ! diff -rq "$work/sqlx" .sqlx; then
  echo "error: .sqlx is not what queries and migrations say: run make sqlx and commit .sqlx" >&2
  exit 1
fi

#!/usr/bin/env bash
# Installs what is missing to run Spool: FFmpeg and the programs of Postgres. With the argument `test` also what the
# tests need: Node.js and Python, whose official provider clients run against the simulator, PgBouncer, behind which the
# queue must work, Prometheus, which must take our rules and fire our alerts, and gnuplot, which draws the dashboards; with
# `observe` those two; with `bench-http` the program that makes the load.
# On Debian and Ubuntu it uses apt; elsewhere it says what to install. No service is started: `spool` runs a private
# Postgres of its own.
set -euo pipefail

has() { command -v "$1" >/dev/null 2>&1; }

has_postgres() {
  if has initdb && has postgres; then return 0; fi
  local folder
  for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin; do
    if [[ -x $folder/initdb && -x $folder/postgres ]]; then return 0; fi
  done
  return 1
}

has_venv() { has python3 && python3 -c 'import venv, ensurepip' >/dev/null 2>&1; }

packages=()
has cc || packages+=(gcc libc6-dev)
{ has ffmpeg && has ffprobe; } || packages+=(ffmpeg)
has_postgres || packages+=(postgresql)
if [[ ${1:-} == test || ${1:-} == contract ]]; then
  { has node && has npm; } || packages+=(nodejs npm)
  has_venv || packages+=(python3 python3-venv)
  { has pgbouncer || [[ -x /usr/sbin/pgbouncer ]]; } || packages+=(pgbouncer)
fi
if [[ ${1:-} == test || ${1:-} == contract || ${1:-} == observe ]]; then
  { has prometheus && has promtool; } || packages+=(prometheus)
  { has alertmanager || has prometheus-alertmanager; } || packages+=(prometheus-alertmanager)
  has gnuplot || packages+=(gnuplot-nox)
fi
if [[ ${1:-} == contract ]]; then
  has chromium || packages+=(chromium)
fi

if [[ ${1:-} == bench-http ]]; then
  has wrk || packages+=(wrk)
fi

if ! has cargo; then
  echo "error: cargo is missing: install Rust 1.94 or newer, for example with rustup" >&2
  exit 1
fi
if ((${#packages[@]} == 0)); then exit 0; fi

if ! has apt-get; then
  echo "error: missing on this machine: ${packages[*]} (Debian's names). Install them with your package manager, e.g." >&2
  echo "       brew install ffmpeg postgresql@17 node python pgbouncer prometheus alertmanager gnuplot" >&2
  exit 1
fi

as_root=()
if [[ $(id -u) -ne 0 ]]; then
  if ! has sudo; then
    echo "error: ${packages[*]} must be installed: run apt-get install ${packages[*]} as root" >&2
    exit 1
  fi
  as_root=(sudo)
fi

echo "installing ${packages[*]}"
# Debian's postgresql would create and start a cluster of its own; nobody here needs it.
if [[ " ${packages[*]} " == *" postgresql "* && ! -e /etc/postgresql-common/createcluster.conf ]]; then
  "${as_root[@]}" mkdir -p /etc/postgresql-common
  echo 'create_main_cluster = false' | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
fi
# Packages that bring a service start it, unless this says no.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confold "${packages[@]}" >/dev/null
# Not started now, and not at the next start of the machine either.
for service in pgbouncer prometheus prometheus-alertmanager; do
  if [[ " ${packages[*]} " == *" $service "* && -d /run/systemd/system ]]; then
    "${as_root[@]}" systemctl disable --quiet "$service"
  fi
done

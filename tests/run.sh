#!/bin/sh
# Runs the tests but those in Firefox: those that are named, or all. Then the unit tests run beside the
# others, which mostly wait: for cameras to be lost, for peers to fall silent. They wait for nothing, so
# that they take what the others leave.
set -u
cd "$(dirname "$0")/.."

if [ $# -gt 0 ]; then
  exec .venv/bin/pytest -m "not firefox" "$@"
fi
mkdir -p .cache
log=.cache/unit-tests.log
nice -n 10 .venv/bin/pytest -m "not firefox" tests/unit >"$log" 2>&1 &
unit=$!
trap 'kill "$unit" 2>/dev/null' INT TERM
others=0
.venv/bin/pytest -m "not firefox" tests/integration tests/e2e || others=$?
units=0
wait "$unit" || units=$?
cat "$log"
[ "$units" -eq 0 ] && [ "$others" -eq 0 ]

#!/bin/sh
# Runs the tests but those in Firefox: those that are named, or all. Then the integration tests run beside the
# unit tests and, after these, those in a browser: each of them mostly waits, for cameras to be lost, for
# peers to fall silent. Unit tests wait for nothing, so that they take what the others leave. Those that
# search the network for cameras run in one row: they would find each other's.
set -u
cd "$(dirname "$0")/.."

if [ $# -gt 0 ]; then
  exec .venv/bin/pytest -m "not firefox" "$@"
fi
mkdir -p .cache
log=.cache/other-tests.log
searching=tests/e2e/test_find_cameras.py

others() {
  trap 'kill "$running" 2>/dev/null; exit 1' TERM
  units=0
  nice -n 10 .venv/bin/pytest -m "not firefox" tests/unit &
  running=$!
  wait "$running" || units=$?
  .venv/bin/pytest -m "not firefox" tests/e2e --ignore=$searching &
  running=$!
  wait "$running" && [ "$units" -eq 0 ]
}

others >"$log" 2>&1 &
beside=$!
trap 'kill "$beside" 2>/dev/null' INT TERM
integration=0
.venv/bin/pytest -m "not firefox" tests/integration $searching || integration=$?
rest=0
wait "$beside" || rest=$?
cat "$log"
[ "$integration" -eq 0 ] && [ "$rest" -eq 0 ]

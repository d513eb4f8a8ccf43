# `make setup` and `make run` need Python 3.11 or newer and a network; `make check` and `make test`
# also Node 18 or newer and browsers, which they install themselves where there is apt.
PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
TSC := tests/node/node_modules/.bin/tsc
SUDO := $(if $(filter-out 0,$(shell id -u)),sudo)
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	--no-emit-index-url --no-annotate --custom-compile-command 'make lock' pyproject.toml

.PHONY: help setup run test test-firefox check types bench bench-yardsticks eval lock clean
.PHONY: audit controls sbom scan

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile

setup: .venv/models.stamp ## set up the service in .venv, with its models

run: setup ## serve on http://127.0.0.1:8080; ARGS="--port 9000" passes arguments on
	@exec $(BIN)/streamer serve $(ARGS)

test: .venv/models.stamp .venv/dev.stamp ## run every test but those in Firefox; ARGS=tests/unit runs a part
	tests/setup.sh
	$(BIN)/python -m tests.rigs.clips
	$(BIN)/python -m tests.rigs.labelled --quick
	tests/run.sh $(ARGS)

test-firefox: .venv/models.stamp .venv/dev.stamp ## run the tests in Firefox
	tests/setup.sh --firefox
	$(BIN)/python -m tests.rigs.clips
	$(BIN)/pytest -m firefox $(ARGS)

check: .venv/dev.stamp ## check format, lint, types, imports and links
	tests/setup.sh --node
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(TSC) --project web
	$(TSC) --project web/types.json --outDir .cache/types
	diff -r .cache/types web/types || { echo 'run: make types' >&2; exit 1; }
	$(BIN)/python tools/check_links.py

types: ## renew the TypeScript declarations of /client.js
	tests/setup.sh --node
	$(TSC) --project web/types.json --outDir web/types

bench: .venv/models.stamp .venv/dev.stamp ## measure frame rate, latency and CPU
	$(BIN)/python -m tests.bench $(ARGS)

eval: .venv/models.stamp .venv/dev.stamp ## measure on labelled clips how good the poses are
	$(BIN)/python -m tests.rigs.labelled .cache/labelled
	$(BIN)/streamer eval --clips .cache/labelled $(ARGS)

bench-yardsticks: .venv-yardsticks/stamp ## install FastRTC in an environment of its own, to compare with

lock: ## renew the lock files; needs uv
	$(LOCK) --group build --output-file requirements.lock
	$(LOCK) --group build --group dev --constraint requirements.lock \
		--output-file requirements-dev.lock
	$(LOCK) --group build --group dev --group audit --constraint requirements-dev.lock \
		--output-file requirements-audit.lock

clean: ## remove what the other targets made here; the models stay in the cache
	rm -rf .venv .venv-yardsticks .cache build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache \
		tests/node/node_modules

controls: .venv/models.stamp .venv/dev.stamp ## take away each control in turn and see a test fail
	$(BIN)/python -m tests.controls $(ARGS)

audit: .venv/audit.stamp ## look for known holes in all packages, and in the workflow file; needs a network
	$(BIN)/python tools/audit.py

sbom: .venv/audit.stamp ## write the bill of materials to build/sbom.cdx.json
	$(BIN)/python tools/sbom.py build/sbom.cdx.json

scan: ## look for known holes in the container's image; needs Docker
	tools/scan_image.sh

# Each stamp is touched when its step has ended well, so that the step is not taken again.
.venv/python.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'Python 3.11 or newer is needed: make PYTHON=python3.12 $(MAKECMDGOALS)' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
		$(SUDO) apt-get update -q && $(SUDO) apt-get install -q -y $(notdir $(PYTHON))-venv; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/runtime.stamp: requirements.lock pyproject.toml .venv/python.stamp
	$(PIP_INSTALL) --require-hashes -r requirements.lock
	$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/models.stamp: .venv/runtime.stamp streamer/pose/models.py
	$(BIN)/streamer models
	@touch $@

.venv/dev.stamp: requirements-dev.lock .venv/runtime.stamp
	$(PIP_INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

.venv/audit.stamp: requirements-audit.lock .venv/dev.stamp
	$(PIP_INSTALL) --require-hashes -r requirements-audit.lock
	@touch $@

.venv-yardsticks/stamp: tests/bench/yardsticks.txt .venv/python.stamp
	$(BIN)/python -m venv .venv-yardsticks
	.venv-yardsticks/bin/python -m pip install --disable-pip-version-check --no-deps -r $<
	@touch $@

TIMES ?= 50
HOURS ?= 1

.PHONY: chaos soak

chaos: .venv/models.stamp .venv/dev.stamp ## put faults into a running service; TIMES=50, ARGS="camera_killed" runs a part
	$(BIN)/python -m tests.chaos --times $(TIMES) $(ARGS)

soak: .venv/models.stamp .venv/dev.stamp ## run under full load for HOURS=1 and report what grows
	$(BIN)/python -m tests.soak --hours $(HOURS) $(ARGS)

.PHONY: sigterm

sigterm: .venv/models.stamp .venv/dev.stamp ## end a loaded service 20 times: exit 0 within 10 s
	$(BIN)/python -m tests.chaos sigterm --times 20

.PHONY: slowloris schemathesis

slowloris: .venv/models.stamp .venv/dev.stamp ## 500 sockets that hold on with nothing, beside healthy requests and a reader
	$(BIN)/python -m tests.rigs.clips
	$(BIN)/python -m tests.rigs.slow_loris $(ARGS)

schemathesis: .venv/models.stamp .venv/dev.stamp ## thousands of requests made from the API's description, without and with a token
	$(BIN)/python -m tests.rigs.generated_requests $(ARGS)
RUNS ?= 1000000
COUNT ?= 1000

.PHONY: fuzz corrupted

fuzz: .venv/audit.stamp ## feed RUNS=1000000 inputs to each fuzz target, or to TARGET="sctp stun"
	$(BIN)/python -m tests.fuzz --runs $(RUNS) $(TARGET)

corrupted: .venv/models.stamp .venv/dev.stamp ## COUNT=1000 damaged cameras beside a healthy one
	$(BIN)/python -m tests.chaos corrupted --times $(COUNT)

# Chores. `make demo` and `make test` set up all they need in .venv and .formhub.

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell $(name) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $(name))))
BIN := .venv/bin
ARGS ?=
# Only tests that need services: `test-fast` need not even read them.
SLOW_TO_COLLECT := tests/browser $(addprefix tests/test_,submit_outages.py api_fuzz.py api_rights.py api_docs.py admin_tenancy.py main_job.py roles.py)

.DEFAULT_GOAL := help
.PHONY: help demo clean-demo test test-fast test-faults test-mutations lint format types browser load bench-ingest bench-archive bench-pipeline bench-isolation bench-sheets bench-failing bench-deliveries soak screenshots

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 17

demo: .venv/local  ## start everything on this machine and print what to open
	@exec $(BIN)/python -m deploy.local.demo $(ARGS)

clean-demo:  ## remove the demo's data
	@$(or $(wildcard $(BIN)/python),$(PYTHON)) -m deploy.local.clean

test: lint types browser  ## every check and test, services included
	$(BIN)/pytest -n 2 --dist worksteal $(ARGS)

test-fast: .venv/test  ## what needs no service; under 30 seconds
	$(BIN)/pytest -m "not services and not browser" -n auto -p no:schemathesis $(SLOW_TO_COLLECT:%=--ignore=%) $(ARGS)

test-faults: .venv/test  ## everything killed, paused, cut off under load; well over an hour. Renews docs/reliability.md
	$(BIN)/pytest tests/faults --faults all $(ARGS)
	$(BIN)/python -m tests.faults.report

test-mutations: .venv/test  ## take out one safeguard after the other: the fault suite has to notice
	$(BIN)/python -m tests.faults.mutations $(ARGS)

lint: .venv/test  ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: .venv/test  ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: .venv/test  ## mypy, strict
	$(BIN)/mypy .

browser:  ## Chromium for the browser tests; installed here where it is missing and we are root
	@command -v chromium >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update && apt-get install -y --no-install-recommends chromium; } || { echo "The browser tests need Chromium, and it cannot be installed from here: as root, run apt-get install chromium. All else: make test-fast, or $(BIN)/pytest -m 'not browser'."; exit 1; }

load: .venv/test  ## 1,000 users x 5 submissions to the running demo, then 50 forms at once
	$(BIN)/python -m bench.load $(ARGS)

bench-ingest: .venv/bench  ## durable ingest beside its floor; needs wrk
	$(BIN)/python -m bench.ingest $(ARGS)

bench-archive: .venv/bench  ## the archive writer beside its floor
	$(BIN)/python -m bench.archive $(ARGS)

bench-pipeline: .venv/bench  ## from accept to archive and Sheet, and how fast a Sheet fills
	$(BIN)/python -m bench.pipeline $(ARGS)

bench-isolation: .venv/bench  ## a dead destination beside nine, and 1,000 forms beside 10
	$(BIN)/python -m bench.isolation $(ARGS)

bench-sheets: .venv/bench  ## rows a minute into Sheets under Google's quotas, with one account and with five
	$(BIN)/python -m bench.accounts $(ARGS)

bench-failing: .venv/bench  ## 200 actions of all kinds, a third of their destinations failing: do the others notice?
	$(BIN)/python -m bench.failing $(ARGS)

bench-deliveries: .venv/bench  ## the delivery console's queries on a ledger of ten million
	$(BIN)/python -m bench.deliveries $(ARGS)

soak: .venv/bench  ## does a web process keep its size? 10 minutes of load with answers of every kind
	$(BIN)/python -m bench.soak $(ARGS)

screenshots: .venv/bench browser  ## renew the pictures in docs/images from the running demo
	$(BIN)/python -m deploy.local.screenshots $(ARGS)

.venv/python:
	@test -n "$(PYTHON)" || { echo "FormHub needs Python 3.11, 3.12 or 3.13: install one, or set PYTHON=/path/to/it."; exit 1; }
	$(PYTHON) -m venv .venv || { echo "On Debian and Ubuntu the module venv is a package of its own: apt install python3-venv"; exit 1; }
	@touch $@

.venv/local: .venv/python requirements/base.txt requirements/local.txt
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements/local.txt
	@touch $@

.venv/test: .venv/local requirements/test.txt
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements/test.txt
	@touch $@

.venv/bench: .venv/test requirements/bench.txt
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements/bench.txt
	@touch $@

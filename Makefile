# The two commands are `make run` and `make test`. What is behind them lives in config/run/.
# Variables given to make reach it as environment: make run PORT=8001, make test ARGS="-k outage".
SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The machine's own python3 where it is new enough; PYTHON=… chooses another.
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python3.14; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$name"; break; }; done)

ifeq ($(strip $(PYTHON)),)
define RUN
@printf '\nError: no Python 3.11 or newer was found on this machine.\nTo mend it:\n    sudo apt-get install python3 python3-venv    (Debian 12, Ubuntu 24.04 or newer)\n    or name one: make run PYTHON=/path/to/python3.11\n' >&2; exit 1; :
endef
else
RUN = @exec "$(PYTHON)" -m config.run
endif

.PHONY: help run setup test test-services ci ci-rest lint format types migrations-check translations translations-check \
	migrations demo-outage shell clean

help: ## this list
	@sed -n 's/^\([a-z%-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 22

run: ## set everything up and serve on http://localhost:8000 (PORT=… moves it)
	$(RUN) serve

test: ## the whole suite on a real PostgreSQL and Redis (ARGS="-k outage" for pytest)
	$(RUN) test

ci: ## lint, format, types, imports, migrations, translations, tests
	$(RUN) ci

ci-rest: ## all of `make ci` but the tests
	$(RUN) ci --without-tests

setup: ## set everything up, start nothing
	$(RUN) setup

demo-outage: ## break the example target for a minute and watch the line work
	$(RUN) demo-outage

lint: ## ruff and the import floors
	$(RUN) check lint imports

format: ## rewrite the code into shape
	$(RUN) check refix reformat

types: ## mypy, strict
	$(RUN) check types

migrations-check: ## no model without its migration
	$(RUN) check migrations

migrations: ## write the migrations that models need (ARGS="checks --name …")
	$(RUN) manage makemigrations

translations: ## bring locale/ up to date with the strings in the code
	$(RUN) translations

translations-check: ## every string is in locale/ and translated
	$(RUN) check translations

test-services: ## only the services of the tests, in the foreground
	$(RUN) test-services

shell: ## a Python shell on the running product
	$(RUN) manage shell

bench-%: ## one benchmark of bench/ (bench-chaos runs bench/chaos.py)
	$(RUN) bench $*

clean: ## remove what set-up made; the data in var/ stays
	rm -rf .venv node_modules static/vendor .mypy_cache .ruff_cache .pytest_cache

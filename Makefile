# The one entry point for people and for CI. Needs python3.11 (or newer), make and git; it fetches the rest itself.
.DEFAULT_GOAL := help
SHELL := /bin/sh
MAKEFLAGS += --no-print-directory

UV_VERSION := 0.13.9
UV := .local/uv/$(UV_VERSION)/uv
# By name, not by path: uv would take a .venv made through a shim of another path for a foreign one and replace it.
PYTHON ?= $(if $(shell command -v python3.11),python3.11,python3)
export UV_PYTHON := $(PYTHON)
export UV_PYTHON_DOWNLOADS := never
export MEETAI_UV := $(CURDIR)/$(UV)
unexport VIRTUAL_ENV
ifdef PYTHONDONTWRITEBYTECODE # else every start of every process would compile all that it imports
export UV_COMPILE_BYTECODE := 1
endif
# The first installation shows what it fetches (about a minute); later ones take a fraction of a second.
QUIETLY := $(if $(wildcard .venv/bin/python),--quiet)
RUN := .venv/bin/python -m meetai_local

# `make up DETACH=1` returns once all is ready; `make demo SPEAKERS=6` puts six people in the room.
DETACH ?=
SPEAKERS ?= 3
# What `make bench` measures, and how much of it: `make bench BENCH=ingest ARGS="--repeat 5 --rows 5000000"`, `BENCH=agent`, `token`, `bridge`.
BENCH ?= ingest
ARGS ?=
# What `make release`, `make version` and `make record` are about.
VERSION ?=
COMMIT ?= HEAD
# How long `make soak` lasts.
MINUTES ?= 30
# `make planted BUGS=ingest` plants only those whose names hold the word.
BUGS ?=
# How many processes share the tests' files, and more arguments for pytest, as in `make test WORKERS=0 PYTEST="-k attribution"`.
WORKERS ?= 2
PYTEST ?=

.PHONY: help setup setup-dev up down status demo test bench soak images planted alerts check format docs charts charts-tools charts-write release version record clean

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(UV) ## Install what `make up` and `make demo` need into .venv
	@$(UV) sync $(QUIETLY) --locked --inexact --no-dev --group demo

setup-dev: $(UV)
	@$(UV) sync $(QUIETLY) --locked --inexact

up: setup ## Start the four services and their servers on 127.0.0.1 (DETACH=1: in the background)
	@exec $(RUN) up $(if $(DETACH),--detach)

down: setup ## Stop what `make up` started
	@exec $(RUN) down

status: setup ## Say what is running, and where
	@exec $(RUN) status

demo: setup ## Hold a meeting: SPEAKERS people talk, captions appear, the transcript is proved (SPEAKERS=3)
	@exec $(RUN) demo --speakers $(SPEAKERS)

test: setup-dev ## Run all tests: unit, contract, integration, e2e
	.venv/bin/python -m pytest tests -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations 20 $(PYTEST)

bench: setup-dev ## Measure beside peers and print a table; asserts no time (BENCH=ingest, agent, token or bridge)
	@.venv/bin/python -m tests.bench $(BENCH) $(ARGS)

soak: setup-dev ## Hold a long meeting: is memory flat, is all that was shown stored? (MINUTES=30 SPEAKERS=4)
	@.venv/bin/python -m tests.soak --minutes $(MINUTES) --speakers $(if $(filter file,$(origin SPEAKERS)),4,$(SPEAKERS))

images: ## Build the services' images with Docker, and print their sizes (TAG=… PREFIX=… DOCKER_BUILD_ARGS=…)
	@deploy/images/build

planted: setup-dev ## Plant one bug at a time and show that the tests catch it (BUGS="word …" for some)
	@.venv/bin/python -m tests.planted $(BUGS)

alerts: setup-dev ## Check the alerts: promtool over rules, their tests, and the metrics' names
	@deploy/observability/check

check: setup-dev ## Lint, format check, types and import layers
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

charts: setup-dev charts-tools ## Check the Helm charts: lint, values, schemas, scores; where a cluster can be had, a release's life
	@status=0; .venv/bin/python -m pytest -q deploy/charts/checks $(PYTEST) || status=$$?; deploy/charts/tools --down; exit $$status

charts-tools: ## Build what `make charts` needs into .local/charts (helm, kube-score; a cluster by kube-api)
	@deploy/charts/tools --cluster

charts-write: setup-dev ## Write what is made of other files in deploy/charts: shared values, schemas, READMEs
	@.venv/bin/python -m deploy.charts.checks.written

format: setup-dev ## Format the code and fix what can be fixed
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

docs: $(UV) ## Build the documentation site, strictly, into .local/site
	@$(UV) sync $(QUIETLY) --locked --inexact --group docs
	@NO_MKDOCS_2_WARNING=1 .venv/bin/python -m deploy.docs.site

release: setup-dev ## Make the release VERSION from the last commit into dist/ (without VERSION: a rehearsal)
	@.venv/bin/python -m deploy.release $(VERSION)

version: setup-dev ## Set the version of everything (VERSION=1.2.3)
	@.venv/bin/python -m deploy.release.version $(VERSION)
	@$(UV) lock $(QUIETLY)

record: setup-dev ## Keep the release VERSION, made of COMMIT, for the tests of upgrades
	@.venv/bin/python -m deploy.release.record $(VERSION) $(COMMIT)

clean: ## Stop the stack and remove .local, .venv and caches
	@if [ -x .venv/bin/python ]; then $(RUN) down; fi
	rm -rf .local .venv tests/node/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(UV): deploy/local/install-uv.sh
	@sh deploy/local/install-uv.sh $(UV_VERSION) $(UV)

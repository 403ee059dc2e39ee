# Run, test, check, fuzz. Each makes the environment first when it is missing or stale.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
TORCH ?= torch==2.13.0
PIP = $(BIN)/python -m pip --disable-pip-version-check
ARGS ?=
WORKERS ?= logical

.PHONY: run test fuzz check clean models help

help:
	@echo "make run    set up, bring the models, start the app (ARGS='--no-browser --port 8018')"
	@echo "make test   set up, run all tests (ARGS='-k rope' for some)"
	@echo "make fuzz   property tests alone, with examples that no run has seen"
	@echo "make check  formatter, linter, strict types, import contracts, book checks"
	@echo "make clean  remove the environment and everything built"

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v >= (3, 11) else "Python 3.11 or newer is needed, this is %d.%d. Name another: make run PYTHON=python3.12" % v)'
	$(PYTHON) -m venv $(VENV)
	@touch $@

# torch first and by itself: an open range would let the resolver take a larger build than this one.
$(VENV)/.run: $(VENV)/.made pyproject.toml hatch_build.py handbook/app/frontend/package-lock.json
	$(PIP) install --quiet $(TORCH)
	$(PIP) install --quiet --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.run
	$(PIP) install --quiet --editable '.[test]'
	@touch $@

# Brings what is missing with a progress bar. Without a network the app starts all the same and says what is missing.
models: $(VENV)/.run
	@$(BIN)/handbook models get || echo "The models are not here; reading and search work without them."

run: models
	@$(BIN)/handbook open $(ARGS)

# Tests on as many cores as there are (four at most; each process holds models), a thread each: two that wait for each
# other would be slower than one. Then those that measure time. 5: pytest's exit status where none was chosen.
test: $(VENV)/.test
	@$(BIN)/handbook models get || echo "The models are not here: tests that need them will be skipped, and counted."
	@failed=0; \
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 --dist loadfile -m "not alone" $(ARGS) || failed=$$?; \
	echo "Now what measures time, one test after the other."; \
	$(BIN)/python -m pytest -m alone $(ARGS); alone=$$?; \
	case $$failed,$$alone in 0,0|0,5|5,0) ;; *) exit 1;; esac

# What fails is printed with its example, and tried first the next time.
fuzz: $(VENV)/.test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 --dist loadfile -m hypothesis \
		--hypothesis-profile=fuzz $(ARGS)

check: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/handbook book check

clean:
	rm -rf $(VENV) build dist node_modules handbook/app/frontend/node_modules handbook/app/static/vendor

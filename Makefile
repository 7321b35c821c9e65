# The two commands of a newcomer: `make demo` and `make test`. Both do their own set-up, once.
.DELETE_ON_ERROR:
.PHONY: demo test lint setup clean

RECIPE ?= first-words
WORKERS ?= 2  # test processes, each on one thread: threads of several would wait for each other
PYTHON ?= $(shell for p in python3 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin

demo: .venv/run.done
	$(BIN)/essen run $(RECIPE)

test: .venv/test.done
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PYTEST)

setup: .venv/run.done

# pip, then the environment of img2dataset, whose pins cannot live beside the others; the marker is last.
.venv/run.done: pyproject.toml constraints.txt pipeline/acquire/img2dataset/constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	$(BIN)/essen setup
	touch $@

.venv/test.done: .venv/run.done
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "essen needs Python 3.11 or 3.12; name one with make PYTHON=/path/to/python"; exit 2; }
	$(PYTHON) -m venv .venv

clean:
	rm -rf .venv runs

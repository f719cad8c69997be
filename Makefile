# Every target sets up what it needs by itself; `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV ?= .venv
PY := $(VENV)/bin/python
NADIR := $(VENV)/bin/nadir
INSTALLED := $(VENV)/.installed
VLLM_VENV ?= .venv-vllm
VLLM_PY := $(VLLM_VENV)/bin/python
VLLM_INSTALLED := $(VLLM_VENV)/.installed
PIP_ARGS ?=
PYTEST_ARGS ?=
WORKERS ?= 2
OUT ?= out/demo
DATA ?= ../shared/data
CORPUS ?= out/data
# Scores of your own model, or of a part of the cases, lie apart: docs/scores.md is the built-in model's page.
EVAL ?= $(if $(MODEL)$(LIMIT),out/eval/own,out/eval)
SCORES ?= $(if $(MODEL)$(LIMIT),$(EVAL)/scores.md,docs/scores.md)
SUITE ?= all
RUN_ARGS = $(if $(MODEL),--model '$(MODEL)') $(if $(DIALECT),--dialect $(DIALECT)) $(if $(LIMIT),--limit $(LIMIT)) \
  $(if $(PROTOCOL),--protocol '$(PROTOCOL)') $(EVAL_ARGS)
WEB := serve/web
WEB_INSTALLED := $(WEB)/node_modules/.installed
WEB_BUILT := $(WEB)/dist/index.html
WEB_SOURCES := $(wildcard $(WEB)/*.html $(WEB)/*.json $(WEB)/*.ts $(WEB)/public/* $(WEB)/src/*.* $(WEB)/src/*/*)
# What stands on a network is tried three times.
THRICE := try() { for wait in 5 20 ""; do "$$@" && return; test -n "$$wait" || return 1; sleep $$wait; done; }; try
QUIET := OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z_-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: $(INSTALLED) ## create .venv and install everything but vLLM into it

define FIND_PYTHON
for python in python3.11 python3 python3.12 python3.13; do \
  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
done; \
test -n "$$found" || { echo "Nadir needs Python 3.11 or newer, and none is on the PATH: install it and run make again." >&2; exit 2; }
endef

# The CPU or CUDA build of torch is pip's choice; PIP_ARGS passes an index to it (make setup PIP_ARGS="--index-url ...").
$(INSTALLED): pyproject.toml constraints.txt
	@test -x $(PY) || { $(FIND_PYTHON); $$found -m venv $(VENV); }
	$(PY) -m pip install --quiet --no-compile $(PIP_ARGS) -c constraints.txt -e '.[dev,train,eval,ray,serve]'
	@touch $@

.PHONY: setup-vllm
setup-vllm: $(VLLM_INSTALLED) ## create .venv-vllm with vLLM in it: for CPUs from serve/vllm.lock, with GPU=1 as pip resolves it

# An environment of its own: vLLM takes other versions of what the server and training stand on. The module named in the
# .pth file lets a CUDA-linked torchvision be imported on a CPU build of torch.
$(VLLM_INSTALLED): serve/vllm.lock pyproject.toml
	@mkdir -p $(VLLM_VENV); exec 9>$(VLLM_VENV)/.lock; flock 9; set -e; \
	test $@ -nt serve/vllm.lock && test $@ -nt pyproject.toml && exit 0; \
	test -x $(VLLM_PY) || { $(FIND_PYTHON); $$found -m venv $(VLLM_VENV); }; \
	if test -n "$(GPU)"; then \
	  $(VLLM_PY) -m pip install --quiet --no-compile $(PIP_ARGS) -e '.[vllm]'; \
	else \
	  $(VLLM_PY) -m pip install --quiet --no-compile --no-deps $(PIP_ARGS) -r serve/vllm.lock; \
	  $(VLLM_PY) -m pip install --quiet --no-compile --no-deps $(PIP_ARGS) -e .; \
	  echo "import serve.vllm_plugin.before_torchvision" > \
	    "$$($(VLLM_PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/nadir_before_torchvision.pth"; \
	  $(VLLM_PY) -c 'import sys, torch; sys.exit(torch.version.cuda and "pip took a CUDA build of torch: run make setup-vllm PIP_ARGS=\"--index-url ...\" with an index of CPU builds, or GPU=1")'; \
	fi; \
	touch $@

.PHONY: serve
serve: $(INSTALLED) $(if $(NADIR_VLLM_PYTHON),,$(VLLM_INSTALLED)) ## serve a model with vLLM (MODEL=folder SERVE_ARGS="--port 8000 --key ...")
	NADIR_VLLM_PYTHON=$${NADIR_VLLM_PYTHON:-$(abspath $(VLLM_PY))} \
	  $(NADIR) serve --engine vllm $(if $(MODEL),--model '$(MODEL)') $(SERVE_ARGS)

.PHONY: demo
demo: $(INSTALLED) ## answer eight instructions (or [IMAGE=a.tif [IMAGE2=b.tif]] [ASK="..."]), see out/demo/report.html
	@if test -n "$$IMAGE$$IMAGE2"; then \
	  $(NADIR) demo $${IMAGE:+--image "$$IMAGE"} $${IMAGE2:+--image2 "$$IMAGE2"} $${ASK:+--ask "$$ASK"} --out $(OUT); \
	else \
	  $(PY) -m data_engine.synth $(OUT)/images && \
	    $(NADIR) demo --cases $(OUT)/images/cases.json $${ASK:+--ask "$$ASK"} --out $(OUT); \
	fi

.PHONY: web
web: $(WEB_BUILT) ## build the map page that the server shows (Node.js 20.19 or newer)

$(WEB_INSTALLED): $(WEB)/package-lock.json $(WEB)/.npmrc
	@node -e 'const [a, b] = process.versions.node.split("."); process.exit(+(a < 20 || (a == 20 && b < 19) || (a == 22 && b < 12)))' \
	  || { echo "the page is built by Node.js 20.19, 22.12 or newer: install it, with npm, and run make web again" >&2; exit 2; }
	cd $(WEB) && $(THRICE) npm ci --silent
	@touch $@

# Built beside the page that is served now, which it then replaces.
$(WEB_BUILT): $(WEB_INSTALLED) $(WEB_SOURCES)
	@exec 9>$(WEB)/node_modules/.lock; flock 9; cd $(WEB) && npm run --silent build -- --logLevel warn --outDir dist.new && \
	  rm -rf dist && mv dist.new dist && touch dist/index.html

.PHONY: check-web
check-web: $(WEB_INSTALLED)
	cd $(WEB) && npm run --silent check && npm run --silent lint && npm run --silent test

# Chromium for the tests of the page, where this is root on a Debian that lacks it.
.PHONY: browser
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || test "$$(id -u)" != 0 || \
	  { $(THRICE) sh -c 'apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium >/dev/null'; }

.PHONY: test
test: $(INSTALLED) ## run every test (PYTEST_ARGS="-k raster", WORKERS=2)
	$(QUIET) $(PY) -m pytest -n $(WORKERS) $(PYTEST_ARGS)

.PHONY: test-vllm
test-vllm: $(INSTALLED) $(VLLM_INSTALLED) ## run the tests that need vLLM, against a server of .venv-vllm
	NADIR_VLLM_PYTHON=$(abspath $(VLLM_PY)) $(QUIET) $(PY) -m pytest tests/serve/vllm_plugin $(PYTEST_ARGS)

.PHONY: fuzz
fuzz: $(INSTALLED) ## run the property tests on new random examples (ROUNDS=10)
	@for round in $$(seq $(or $(ROUNDS),10)); do \
	  NADIR_FUZZ=1 $(QUIET) $(PY) -m pytest -q -n $(WORKERS) -m hypothesis $(PYTEST_ARGS) || exit 1; \
	done

.PHONY: check
check: $(INSTALLED) ## ruff, mypy, the page's types, lint and units, and the house rules
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory check-web; \
	  else echo "npm is not there: the sources of the page (serve/web) are not checked"; fi
	$(QUIET) $(PY) -m pytest -q tests/house $(PYTEST_ARGS)

.PHONY: format
format: $(INSTALLED) ## let ruff format and fix what it can
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

.PHONY: eval
eval: $(INSTALLED) ## score a model (SUITE=xlrs DATA=~/xlrs MODEL=folder or http://host:8000/v1 LIMIT=200 PROTOCOL=official)
	@own=$$($(PY) -m eval_suites list --cases | grep -x -- "$(SUITE)"); \
	case "$(SUITE)" in rsvqa-*) [ -d "$(DATA)/rsvqa" ] && [ -z "$(PROTOCOL)" ] || own=;; esac; \
	if [ "$(SUITE)" != all ] && [ -z "$$own" ]; then \
	  exec $(PY) -m eval_suites run $(SUITE) --data "$(DATA)" --out out/eval/own $(RUN_ARGS); \
	fi; \
	$(PY) -m data_engine.cases $(SUITE) $(DATA) out/eval/cases && \
	$(PY) -m eval_suites run $(SUITE) --cases out/eval/cases --out $(EVAL) $(RUN_ARGS) && \
	$(PY) -m eval_suites report $(EVAL) $(SCORES) $(if $(MODEL)$(LIMIT),,--into README.md --into vlm/nano/README.md)

.PHONY: data
data: $(INSTALLED) ## build the corpus of the built-in model (DATA=folder of the public datasets, CORPUS=out/data, WORKERS=2)
	$(QUIET) $(PY) -m data_engine corpus nano $(DATA) $(CORPUS) --workers $(WORKERS) $(if $(DRY_RUN),--dry-run)

.PHONY: nano
nano: data ## train the built-in model again (DATA=folder of the public datasets) into out/nano/model, and score it
	$(PY) -m train.nano --data $(CORPUS) --out out/nano
	$(MAKE) eval MODEL=out/nano/model

.PHONY: bench
bench: $(INSTALLED) ## measure the tables of benchmarks/ again (BENCH=text_mask for one)
	@for name in $(or $(BENCH),$(basename $(notdir $(wildcard benchmarks/*.py)))); do \
	  echo "== $$name" && $(PY) -m benchmarks.$$name || exit 1; \
	done

.PHONY: docs
docs: $(INSTALLED) ## write docs/formats.md again from the tables of the code
	$(PY) -m vlm.codecs.formats > docs/formats.new && mv docs/formats.new docs/formats.md

.PHONY: clean
clean: ## delete caches and out/, keep .venv
	rm -rf $(WEB)/dist $(WEB)/dist.new out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

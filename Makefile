# The words that people and CI use. `make demo` alone does everything, from nothing.

PYTHON ?= $(shell for python in python3.11 python3.12 python3; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null \
	&& command -v $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
LANGUAGE_OF_DEMO ?= en

# llama-cpp-python comes as source only; config/llama_cpp.cmake says what of it is compiled, and why. Its wheel is
# kept in a folder of our own: pip's cache would give back one that was compiled in another way.
LLAMA_CPP := $(shell grep '^llama_cpp_python==' constraints.txt)
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/heirloom
WHEELS := $(CACHE)/$(shell (cat config/llama_cpp.cmake; echo "$(LLAMA_CPP) $(CMAKE_ARGS)"; uname -m; grep -m1 'model name' /proc/cpuinfo 2>/dev/null) | cksum | cut -d' ' -f1)
COMPILE := CMAKE_ARGS="-DCMAKE_PROJECT_llama_cpp_INCLUDE=$(CURDIR)/config/llama_cpp.cmake $(CMAKE_ARGS)"
PIP := $(BIN)/python -m pip --disable-pip-version-check
export CMAKE_BUILD_PARALLEL_LEVEL ?= $(shell nproc 2>/dev/null || echo 2)
# Else each program of a training compiles torch, transformers and trl for itself: 13 s, where it takes 5.
unexport PYTHONDONTWRITEBYTECODE
# Two at a time, the tests of a file together and in the files' order, so that the end-to-end training comes last.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: help setup demo up test test-unit test-openai lint format bench chaos clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /make \1\t/' | expand -t 18

setup: $(VENV)/.ready ## the virtual environment, all packages, llama.cpp's converter

$(VENV)/.ready: pyproject.toml constraints.txt
	@test "$$(uname -s)" = Linux || { echo "Heirloom runs on Linux only (on Windows: inside WSL2); this is $$(uname -s). 只能在 Linux（或 Windows 的 WSL2）上运行。"; exit 1; }
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed: install it (python.org, apt install python3.11 python3.11-venv), or say where it is: make setup PYTHON=/path/to/python3.11. 需要 Python 3.11 或 3.12：请安装，或指明位置。"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { v=$$($(PYTHON) -c 'import sys; print("python%d.%d" % sys.version_info[:2])'); echo "$(PYTHON) lacks the venv module: apt install $$v-venv. $(PYTHON) 缺少 venv 模块：apt install $$v-venv"; exit 1; }
	@command -v $${CXX:-g++} >/dev/null || command -v clang++ >/dev/null || { echo "A C++ compiler is needed, to compile llama.cpp: apt install g++. 需要 C++ 编译器来编译 llama.cpp：apt install g++"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet -c constraints.txt pip
	ls $(WHEELS)/*.whl >/dev/null 2>&1 || $(COMPILE) $(PIP) wheel --no-cache-dir --no-deps --wheel-dir $(WHEELS) $(LLAMA_CPP)
	$(PIP) install --progress-bar off --no-compile --find-links $(WHEELS) -c constraints.txt -e '.[train,graph,embedded,dev]'
	$(BIN)/python -m adapters.converter vendor/llama.cpp
	@touch $@

demo: setup ## train the sample elder's model and talk with it
	@$(BIN)/heirloom demo --lang $(LANGUAGE_OF_DEMO)

up: setup ## the whole service on this machine
	@$(BIN)/heirloom up

test: setup ## unit, contract, integration and end-to-end; ends in pytest's own closing line
	@$(PYTEST) tests/unit tests/contract tests/integration tests/e2e/test_main_job.py

test-openai: setup ## the openai client over a whole training; some minutes, and not in `make test`
	@$(BIN)/python -m pytest tests/e2e/test_openai_client.py

test-unit: setup ## in three minutes, without what is marked slow
	@$(PYTEST) tests/unit tests/contract -m "not slow"

lint: setup ## style, formatting, types of the kernel, direction of dependencies
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup ## mend style and formatting
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: setup ## training and chat speed against plain trl and plain llama.cpp
	@$(BIN)/python -m bench

chaos: setup ## kill everything, in every stage
	@$(BIN)/python -m pytest tests/chaos -m chaos

clean: ## caches and the virtual environment; data/ and models/ stay
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './data/*' -prune -exec rm -rf {} +

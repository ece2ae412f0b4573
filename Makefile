# Every target sets up what it needs: a virtual environment in .venv, with the pinned versions.

PYTHON ?= python3
PORT ?= 4566
TORCH_INDEX := https://download.pytorch.org/whl/cpu
BIN := .venv/bin
SAM := .venv/sam/bin
RUN_LOCALLY := $(BIN)/python utils/local_cloud.py --port $(PORT) --

.PHONY: demo serve test lint clean help

help:
	@echo "make demo    answer both sample requests on a cloud on this machine"
	@echo "make serve   the same, and stay up with the demo page until Ctrl-C"
	@echo "make test    run the tests"
	@echo "make lint    check style, types and the template"
	@echo "make clean   remove what make made"

demo: .venv/installed
	@$(RUN_LOCALLY) utils/demo.sh

serve: .venv/installed
	@$(RUN_LOCALLY) utils/demo.sh --stay

test: .venv/installed
	$(BIN)/pytest

lint: .venv/installed $(SAM)/sam
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/cfn-lint template.yaml
	AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0 $(SAM)/sam validate --lint --template template.yaml

clean:
	rm -rf .venv build *.egg-info

# torch first, from PyTorch's index of CPU builds: elsewhere the Linux build brings gigabytes of CUDA along.
# Where that index can't be reached, pip's own configuration decides.
.venv/installed: requirements.txt requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@command -v curl >/dev/null || { echo "curl is needed: install it first" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "venv is needed: on Debian, apt-get install python3-venv" >&2; exit 1; }
	@echo "installing into .venv"
	@torch=$$(grep '^torch==' requirements.txt); \
		$(BIN)/pip install -qq --retries 1 --timeout 10 --no-deps --index-url $(TORCH_INDEX) $$torch 2>/dev/null || \
		$(BIN)/pip install -qq $$torch
	@$(BIN)/pip install -qq -r requirements-dev.txt
	@$(BIN)/pip install -qq --no-deps -e .
	@touch $@

# In an environment of its own, as it pins another boto3.
$(SAM)/sam: .venv/installed
	@$(PYTHON) -m venv .venv/sam
	@.venv/sam/bin/pip install -qq aws-sam-cli==1.170.0

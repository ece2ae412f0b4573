# Every target sets up what it needs: a virtual environment in .venv, with the pinned versions.

PYTHON ?= python3
PORT ?= 4566
TORCH_INDEX := https://download.pytorch.org/whl/cpu
BIN := .venv/bin
SAM_VENV := .venv/sam
AUDIT := .venv/audit/bin
# From the index that pip is set up for; uv itself is the first that the lock file holds.
UV = UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX-$${PIP_INDEX_URL-$$($(BIN)/pip config get global.index-url 2>/dev/null)}}" $(BIN)/uv --quiet
INSTALL_UV = sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > .venv/uv.txt && $(BIN)/pip install -qq --require-hashes -r .venv/uv.txt
RUN_LOCALLY := $(BIN)/python utils/local_cloud.py --port $(PORT) --

VERSION = $(shell $(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
ARCH = $(patsubst aarch64,arm64,$(shell uname -m))

# Empty means unset: bytecode is written when a module is first imported, as uv compiles none.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo serve screenshot test test-faults test-aws test-aws-clean package deploy bench lint lock lock-torch audit advisories clean

help:
	@echo "make demo         answer both sample requests on a cloud on this machine"
	@echo "make serve        the same, and stay up with the demo page until Ctrl-C; a model of your own:"
	@echo "                    make serve KIM_CNN=tickets.model VECTORS=tickets.vectors.txt"
	@echo "make test         run the tests; of the fault tests a sample"
	@echo "make test-faults  run all fault tests, for about an hour"
	@echo "make test-aws     deploy to your AWS account, check every step, and remove it all (docs/test-aws.md)"
	@echo "make package      build all deployment packages for this machine, and prove that they run"
	@echo "make deploy       build the packages for Lambda and deploy them to your AWS account"
	@echo "make bench        measure requests, as docs/performance.md reports them, on your own data sets"
	@echo "make screenshot   take the picture of the demo page that README.md shows"
	@echo "make lint         check style, types and the template"
	@echo "make lock         write the lock files anew; make lock-torch, that of PyTorch's CPU builds"
	@echo "make audit        have the template, the code and the shell scripts judged for their safety"
	@echo "make advisories   ask for known vulnerabilities of what is locked"
	@echo "make clean        remove what make made"

demo: .venv/installed
	@$(RUN_LOCALLY) utils/demo.sh

serve: .venv/installed
	@exec env KIM_CNN='$(KIM_CNN)' SM_CNN='$(SM_CNN)' VECTORS='$(VECTORS)' $(RUN_LOCALLY) utils/demo.sh --stay

test: .venv/installed
	$(BIN)/pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder

test-faults: .venv/installed
	FAULTS=full $(BIN)/pytest tests/faults tests/aws_account tests/aws/test_batch.py tests/test_openapi.py \
		tests/test_explanations.py

# AWS_TEST_ACCOUNT is the number of the account to test in; YES=1 does not ask, SNAPSTART=1 tries SnapStart, too. Python takes
# the place of the shell, so that a signal to make reaches it.
test-aws: .venv/installed
	@exec $(BIN)/python -m tests.aws_account.run $(if $(YES),--yes)

test-aws-clean: .venv/installed
	@exec $(BIN)/python -m tests.aws_account.clean $(if $(YES),--yes)

# For the Python of .venv, which can run them here, whatever Lambda has.
package: .venv/installed
	@for runtime in torch onnx; do for model in sm_cnn kim_cnn; do \
		utils/create_deployment_package.sh $$model --runtime $$runtime --arch $(ARCH) --python $(VERSION) \
			--output build/$$runtime/$$model.zip || exit 1; done; done
	PACKAGES=build $(BIN)/pytest -m package

deploy: .venv/installed
	utils/create_deployment_package.sh sm_cnn
	utils/create_deployment_package.sh kim_cnn --vectors data/kim_cnn.vectors.txt.gz
	$(BIN)/python utils/deploy.py up --sm-cnn build/sm_cnn.zip --kim-cnn build/kim_cnn.zip

# SERVERLESS_INFERENCE_DATA names the folder of the data sets (docs/training.md).
bench: .venv/installed
	@mkdir -p build
	$(BIN)/python bench/warm_request.py > build/warm_request.md
	$(BIN)/python bench/ranking.py > build/ranking.md
	$(BIN)/python bench/growth.py build > build/growth.md
	@cat build/warm_request.md build/ranking.md build/growth.md

screenshot: .venv/installed
	$(BIN)/python bench/screenshot.py docs/page.png

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/cfn-lint template.yaml
	AWS_DEFAULT_REGION=us-east-1 $(BIN)/sam validate --lint --template template.yaml

clean:
	rm -rf .venv build *.egg-info

# uv installs what is locked. torch comes by pip meanwhile, from PyTorch's index of CPU builds: elsewhere the Linux build
# brings gigabytes of CUDA along. Where that index can't be reached, pip's own configuration decides, as it does for uv.
.venv/installed: requirements.lock requirements-sam.lock requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || \
		{ echo "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@command -v curl >/dev/null || { echo "curl is needed: install it first" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "venv is needed: on Debian, apt-get install python3-venv" >&2; exit 1; }
	@echo "installing into .venv"
	@torch=$$(grep '^torch==' requirements.txt); \
	{ $(BIN)/pip install -qq --no-compile --no-deps --retries 1 --timeout 10 --index-url $(TORCH_INDEX) $$torch 2>/dev/null || \
		$(BIN)/pip install -qq --no-compile --no-deps $$torch; } & torch_pid=$$!; \
	$(INSTALL_UV) && $(UV) pip install --python $(BIN)/python --no-deps --require-hashes -r requirements.lock && \
	$(UV) pip install --python $(BIN)/python --no-deps --no-build-isolation -e . && \
	$(UV) venv --allow-existing --python $(BIN)/python $(SAM_VENV) && \
	$(UV) pip install --python $(SAM_VENV)/bin/python --require-hashes -r requirements-sam.lock && \
	wait $$torch_pid
	@printf '#!/bin/sh\nSAM_CLI_TELEMETRY=0 exec "%s/sam" "$$@"\n' '$(CURDIR)/$(SAM_VENV)/bin' > $(BIN)/sam
	@chmod +x $(BIN)/sam
	@touch $@

# torch is in a lock of its own, as its builds differ from index to index; what only its CUDA builds want is left out.
CUDA := cuda-bindings cuda-toolkit nvidia-cudnn-cu13 nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvshmem-cu13 triton
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command "make lock"
lock: .venv/installed
	@printf '%s\n' $(CUDA) > .venv/excluded.txt
	$(LOCK) requirements-dev.txt --no-emit-package torch --excludes .venv/excluded.txt --output-file requirements.lock
	$(LOCK) requirements-sam.txt --output-file requirements-sam.lock
	$(LOCK) requirements-audit.txt --output-file requirements-audit.lock

# The hashes of the CPU builds that packages get, from the index that has them all.
TORCH_FROM := --index-url $(TORCH_INDEX)
lock-torch: .venv/installed
	@sed -n 's/^torch==.*/&+cpu/p' requirements.txt > .venv/torch.txt
	$(subst make lock,make lock-torch,$(LOCK)) --no-deps $(TORCH_FROM) .venv/torch.txt --output-file requirements-torch.lock

.venv/audit/installed: .venv/installed requirements-audit.lock
	@$(UV) venv --allow-existing --python $(BIN)/python .venv/audit
	@$(UV) pip install --python $(AUDIT)/python --require-hashes -r requirements-audit.lock
	@touch $@

# Each judge's exceptions stand, with their reasons, in .checkov.yaml, in pyproject.toml, or beside the line. checkov asks
# no server; cfripper knows no SAM, so it gets the template without what is for SAM alone.
audit: .venv/audit/installed
	@command -v shellcheck >/dev/null || { echo "shellcheck is needed: on Debian, apt-get install shellcheck" >&2; exit 1; }
	shellcheck .ci/run utils/*.sh tests/package/*.sh
	$(AUDIT)/bandit --quiet --configfile pyproject.toml --recursive inference toolkit sm_cnn kim_cnn utils bench *_handler.py *_batch.py
	$(AUDIT)/checkov --config-file .checkov.yaml
	@$(BIN)/python -c 'import json; from toolkit.deployment import template; content = template.read(); \
		del content["Globals"]; print(json.dumps(content))' > .venv/audit/template.json
	$(AUDIT)/cfripper --resolve --logging ERROR .venv/audit/template.json

advisories: .venv/audit/installed
	@for lock in requirements*.lock; do $(AUDIT)/pip-audit --requirement $$lock --disable-pip || exit 1; done

# Nothing is needed but Python 3.11 or newer, make and git: the first target that runs makes .venv.

PYTHON ?= python3
# envs/requirements-torch.txt has the hashes of PyPI's builds, of which that for Linux is for CUDA.
TORCH ?= envs/requirements-torch.in
CORES ?= $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

BIN := .venv/bin
RUN := .venv/installed
DEV := .venv/installed-dev
CLUSTER := .venv/installed-cluster
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install -qq
LOCKED := $(PIP) --require-hashes

export PATH := $(CURDIR)/$(BIN):$(PATH)
unexport PYTHONPATH PYTHONHOME

.PHONY: help train test test-slow kill-campaign fuzz lint format schema pictures api lock audit clean
.DEFAULT_GOAL := help

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

train: $(RUN) ## Train on config/config.yaml, on CORES=N cores (all of them), and write the report
	@snakemake --cores $(CORES) train report

test: lint ## Lint, type-check and test
	@pytest --numprocesses 2 --dist loadfile

test-slow: $(CLUSTER) ## The tests that take minutes
	@if grep -rqs 'mark\.slow' tests; then pytest -m slow --numprocesses 2 --dist loadfile; else echo 'There are no slow tests.'; fi

kill-campaign: $(DEV) ## Kill a small run at KILLS=200 moments; its products must be the same bytes
	@python tests/kill_campaign.py --kills $(or $(KILLS),200)

fuzz: $(DEV) ## Feed broken bytes to every reader, for SECONDS=75 each by atheris, and by hypothesis
	@$(LOCKED) -r envs/requirements-fuzz.txt
	@FUZZ_EXAMPLES=20000 pytest tests/test_fuzz.py
	@for target in games any_games search positions parts document checkpoint journal; do \
		python tests/fuzz/atheris_driver.py $$target .fuzz/$$target -artifact_prefix=.fuzz/ \
			-max_total_time=$(or $(SECONDS),75) -max_len=65536 -timeout=10 -rss_limit_mb=512 \
			|| exit 1; \
	done

lint: $(DEV) ## Check style, types and the workflow's rules
	@ruff check .
	@ruff format --check .
	@snakefmt --check Snakefile rules
	@snakemake --lint
	@mypy

format: $(DEV) ## Format all code
	@ruff check --fix .
	@ruff format .
	@snakefmt Snakefile rules

schema: $(RUN) ## Write config/schema.yaml and config/README.md from hexlib/run_config.py
	@python -m hexlib.reference

pictures: $(DEV) ## Make the documentation's pictures from a run: make pictures RUN_DIR=results/default
	@python docs/pictures.py $(or $(RUN_DIR),results/default)

api: $(DEV) ## Write the library's docstrings as pages to docs/api/
	@pdoc --output-directory docs/api --docformat markdown hexlib '!hexlib.verbs'
	@echo 'Wrote docs/api/index.html'

lock: ## Write envs/requirements*.txt anew from the .in files, with the hashes of all platforms
	@rm -rf .lock && $(PYTHON) -m venv .lock && .lock/bin/python -m pip install -qq uv
	@as_before=; for kind in requirements requirements-torch requirements-dev requirements-cluster \
		requirements-fuzz; do \
		.lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
			--generate-hashes --no-annotate --custom-compile-command 'make lock' $$as_before \
			--output-file envs/$$kind.txt envs/$$kind.in || exit 1; \
		as_before='--constraint envs/requirements.txt'; \
	done
	@rm -rf .lock

audit: ## Ask PyPI for known faults of the packages in envs/requirements.txt and requirements-torch.txt
	@rm -rf .lock && $(PYTHON) -m venv .lock && .lock/bin/python -m pip install -qq pip-audit
	@for kind in requirements requirements-torch; do \
		.lock/bin/pip-audit --strict --requirement envs/$$kind.txt --require-hashes --disable-pip || exit 1; \
	done
	@rm -rf .lock

clean: ## Remove .venv and all caches; results and logs stay
	@rm -rf .venv .lock .pytest_cache .mypy_cache .ruff_cache .hypothesis .fuzz *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN): envs/requirements.txt $(TORCH) pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("Python " \
	"3.11 or newer is needed, $(PYTHON) is %d.%d: make PYTHON=python3.12 ..." % v[:2])'
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv
	@echo 'Installing into .venv what envs/requirements.txt lists; this takes a minute or a few.'
	@$(LOCKED) -r envs/requirements.txt
	@$(PIP) -r $(TORCH)
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): envs/requirements-dev.txt $(RUN)
	@echo 'Installing into .venv what the tests need besides.'
	@$(LOCKED) -r envs/requirements-dev.txt
	@touch $@

$(CLUSTER): envs/requirements-cluster.txt $(DEV)
	@echo 'Installing into .venv what Slurm, Kubernetes and object storage need besides.'
	@$(LOCKED) -r envs/requirements-cluster.txt
	@touch $@

# make            Figure 1 of the default study        make test     the tests
# make TORCH=cpu  the same with a torch that knows no GPU: a tenth to download
# make all        every figure and table               make check    lint, types, formats
# make bench      speed against named peers             make mutants  wrong changes that tests must catch
# make vision     attribution in vision, on digits
# make test-slurm    the profile for Slurm, on a Slurm of two nodes here (root, Debian's packages)
# make test-gpu      jobs at true shapes on one GPU, at small ones without
# make test-lm-eval    log-probabilities against lm-evaluation-harness
# make foundry    llm-foundry's own environment       make test-foundry   that engine against ours
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES ?= all

# TORCH=cpu takes torch without CUDA's libraries, of which a machine without a GPU has no use.
INSTALL_cpu := $(if $(shell command -v uv),uv pip install --python $(BIN)/python --torch-backend cpu,\
    $(BIN)/pip install --index-url https://download.pytorch.org/whl/cpu)
TORCH_cpu = $(INSTALL_cpu) --constraint requirements.lock torch torchvision

.PHONY: figure1 all vision test check bench mutants test-slurm test-gpu test-lm-eval foundry test-foundry

figure1: $(VENV)/run.stamp
	$(BIN)/snakemake --cores $(CORES) results/correlation_fig1.pdf

all: $(VENV)/run.stamp
	$(BIN)/snakemake --cores $(CORES)

vision: $(VENV)/run.stamp
	$(BIN)/snakemake --cores $(CORES) --configfile workflow/studies/vision.yaml

test: $(VENV)/test.stamp
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 --dist loadfile --no-loadscope-reorder

check: $(VENV)/test.stamp
	$(BIN)/ruff check src tests workflow
	$(BIN)/ruff format --check src tests workflow
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint
	$(BIN)/mypy
	$(BIN)/lint-imports

test-slurm: $(VENV)/cluster.stamp
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -rs -s -m slurm tests/slurm

test-gpu: $(VENV)/test.stamp
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -rs -s -m gpu tests

test-lm-eval: $(VENV)/lm-eval.stamp
	OMP_NUM_THREADS=1 PYTHONPATH=$(VENV)/lm-eval $(BIN)/pytest -q -rs -s -m lm_eval tests/training tests/tables

bench: $(VENV)/peers.stamp
	OMP_NUM_THREADS=1 PYTHONPATH=$(VENV)/peers $(BIN)/python tests/benchmarks/bench.py

mutants: $(VENV)/test.stamp
	$(BIN)/python tests/mutants/run.py

$(BIN)/pip:
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Python 3.11 to 3.13 is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/run.stamp: pyproject.toml requirements.lock | $(BIN)/pip
	$(TORCH_$(TORCH))
	$(BIN)/pip install --constraint requirements.lock --editable '.[models,workflow]'
	touch $@

# The peers lie in a folder of their own: the workflow's environment stays as it is.
$(VENV)/peers.stamp: $(VENV)/test.stamp
	$(BIN)/pip install --no-deps --target $(VENV)/peers traker==0.3.2 data-selection==1.0.3 \
	    nltk==3.9.1 click accelerate==1.15.0 lightgbm==4.7.0 datatrove==0.7.0 loguru humanize
	touch $@

$(VENV)/lm-eval.stamp: $(VENV)/test.stamp
	$(BIN)/pip install --no-deps --target $(VENV)/lm-eval lm_eval==0.4.13 accelerate==1.15.0 \
	    sacrebleu==2.6.0 tabulate portalocker colorama lxml evaluate==0.4.6 more_itertools
	touch $@

$(VENV)/test.stamp: $(VENV)/run.stamp
	$(BIN)/pip install --constraint requirements.lock --editable '.[models,workflow,test]'
	touch $@

$(VENV)/cluster.stamp: $(VENV)/test.stamp
	$(BIN)/pip install --constraint requirements.lock --editable '.[models,workflow,test,cluster]'
	touch $@

foundry: .foundry/stamp

.foundry/stamp: envs/llm-foundry.lock
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info[:2] == (3, 11) else "Its lock is of Python 3.11: make foundry PYTHON=python3.11")'
	$(PYTHON) -m venv .foundry
	.foundry/bin/pip install --no-cache-dir --no-deps --requirement envs/llm-foundry.lock
	touch $@

test-foundry: .foundry/stamp $(VENV)/test.stamp
	PROXYSCALE_FOUNDRY=$(CURDIR)/.foundry/bin/python OMP_NUM_THREADS=1 $(BIN)/pytest -q -s tests/training/test_llm_foundry.py

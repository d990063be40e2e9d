# `make quickstart` runs the main job end to end on a fresh machine, `make test` proves the code. Both set up .venv first.
PYTHON ?= python3
BIN := .venv/bin
WORLD := runs/smallworld
export HF_HUB_OFFLINE ?= 1

.PHONY: install quickstart students study results test check bench clean

install: .venv/installed

.venv/installed: pyproject.toml setup.py constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

# -- quickstart: the small world, its teacher, one student per method, and the comparison of all of them ----------------

STUDENTS := plain swap max_augment equivariant equivariant_augment equivariant_weighted
OVERRIDES_swap := perturb.operation=swap
OVERRIDES_max_augment := perturb.operation=max augment.mode=augment
OVERRIDES_equivariant := perturb.operation=equivariant
OVERRIDES_equivariant_augment := perturb.operation=equivariant augment.mode=augment
# the best arm of configs/study/smallworld.yaml: see RESULTS.md
OVERRIDES_equivariant_weighted := perturb.operation=equivariant_geometric perturb.gain=2 loss.counterpart_weight=10

# what `evenhand train` sets on a CPU, also for train.py itself: distill/launcher.py says why
quickstart students: export MALLOC_MMAP_MAX_ ?= 0
quickstart students: export MALLOC_TRIM_THRESHOLD_ ?= 17179869184
quickstart students: export GOMP_SPINCOUNT ?= 1000

quickstart: install
	$(BIN)/evenhand smallworld --out $(WORLD)/world
	$(BIN)/evenhand train --config smallworld_teacher --config_file cpu
	@echo "training $(words $(STUDENTS)) students, two at a time; each writes its log to $(WORLD)/NAME.log"
	@$(MAKE) --no-print-directory --jobs 2 students
	$(BIN)/evenhand eval $(WORLD)/teacher $(addprefix $(WORLD)/,$(STUDENTS)) --config smallworld --out $(WORLD)/report

students: $(addprefix student-,$(STUDENTS))

# one thread each: two single-threaded runs side by side are faster than one run on two threads after the other; train.py
# itself, because a launcher would import torch once more for every student
student-%:
	@echo "  $*: train.py --config configs/train/smallworld.yaml $(OVERRIDES_$*)"
	@OMP_NUM_THREADS=1 ACCELERATE_USE_CPU=true $(BIN)/python train.py --config configs/train/smallworld.yaml run_dir=$(WORLD)/$* \
	  $(OVERRIDES_$*) > $(WORLD)/$*.log 2>&1 || { tail -n 5 $(WORLD)/$*.log; exit 1; }
	@echo "  $*: done"

# -- a study: train and measure its models (resuming what was stopped), collect its results file, and write the report --

STUDY ?= smallworld
SEEDS ?=
JOBS ?= 2

study: install
	$(BIN)/python -m study run configs/study/$(STUDY).yaml --jobs $(JOBS) $(if $(SEEDS),--seeds $(SEEDS))
	$(BIN)/python -m study collect configs/study/$(STUDY).yaml --out docs/results/$(STUDY).json
	@$(MAKE) --no-print-directory results

# RESULTS.md, the full tables, plots and model cards of docs/results, and the README's part, from the results files alone
results: install
	$(BIN)/python -m study report docs/results/*.json --out RESULTS.md --readme README.md

# -- development ---------------------------------------------------------------------------------------------------------

# half of the time of many tests is the start of a process: two of them side by side fill two cores
test: install
	$(BIN)/python -m pytest -q --numprocesses logical --maxprocesses 4 --dist worksteal

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# make bench CORPUS="a.jsonl.gz b.jsonl.gz": the speed of the augmenter on your text
bench: install
	$(BIN)/python -m benchmarks.augmenter_speed $(CORPUS)

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

# The environment $(VENV) is installed from the locks in requirements/, and again when they change.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
CORES ?= 2
PROTEINS ?= 1000
MINUTES ?= 60
SEED ?= 1
READERS ?=
SAMPLE ?=
MODULES ?=
TESTED ?= 3
# Port of the demo's local AlphaFold DB server, which config/config.yaml also uses.
PORT := 8642
# The conda program for pins, and the folder of the environment files.
CONDA_EXE ?= conda
ENVS ?= envs

export PATH := $(abspath $(VENV))/bin:$(PATH)
export PYTHONNOUSERSITE := 1
unexport PYTHONPATH PYTHONHOME

# Python compiles what it imports; pip would compile all, which takes half of the installation.
PIP_INSTALL := python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes \
  --no-compile
SNAKEFILES := Snakefile rules workflow

.PHONY: help demo docs pictures test test-fast coverage mutants test-browser test-cluster test-envs test-gpu test-notebooks test-engines wheel check-wheel check-container check-platforms audit pins lint format bench-split bench-structures bench-embed bench-host bench-graph bench-train bench-light-attention bench-gpu bench-variants bench-dag bench-incremental prove-split check-split read-published fuzz pretrain compare-finetuning ablation external-test learning-curves sorting-signals known-signals reproduce config-reference config-schema lock clean chromium compiler slurm

help:  ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' Makefile | expand -t 16

demo: $(VENV)/.run  ## run the pipeline on the simulated demo data (CORES=2)
	@python tools/demo/serve.py --port $(PORT) -- \
	  snakemake --cores $(CORES) --set-threads train=1 embeddings=1
	@echo "The report: results/demo/report.html"

test: lint compiler  ## check the style and run all tests that need no root
	@OMP_NUM_THREADS=1 pytest -n $(CORES) --dist worksteal \
	  -m "not browser and not cluster and not envs and not engines and not notebook"

test-fast: $(VENV)/.test  ## run the unit tests without the slow ones
	@OMP_NUM_THREADS=1 pytest -n $(CORES) --dist worksteal -m "not slow" \
	  --hypothesis-profile fast tests/unit

coverage: $(VENV)/.test  ## measure the coverage of the unit tests
	@coverage erase
	@OMP_NUM_THREADS=1 coverage run -m pytest -n $(CORES) --dist worksteal tests/unit
	@coverage combine --quiet
	@coverage report

mutants: $(VENV)/.test  ## change operators in split, masks, decisions and metrics, and see which tests notice (SAMPLE=10 each, MODULES=names)
	@OMP_NUM_THREADS=1 PYTHONPATH=workflow python tests/mutants.py --seed $(SEED) \
	  $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(MODULES),--modules $(MODULES))

test-browser: $(VENV)/.test chromium  ## test the pages in Chromium, which is installed as root
	@pytest -n $(CORES) --dist loadfile -m browser tests/workflow/test_*_browser.py

test-cluster: $(VENV)/.slurm slurm  ## run the demo on a real Slurm, which is installed as root
	@PATH="$$PATH:/usr/sbin:/sbin" unshare --mount --pid --fork --kill-child --mount-proc sh -c \
	  'mkdir -p /etc/slurm && mount -t tmpfs none /etc/slurm && exec pytest -m cluster tests/cluster tests/workflow/test_docs_commands.py'

test-gpu: $(VENV)/.test  ## compare what a GPU computes with the CPU, within tolerance
	@pytest -m gpu tests/gpu

test-envs: $(VENV)/.envs  ## run every rule in its conda environment, from local channels
	@OMP_NUM_THREADS=1 pytest -m envs tests/envs

test-notebooks: $(VENV)/.test  ## run the notebooks
	@OMP_NUM_THREADS=1 pytest tests/workflow/test_notebooks.py

test-engines: $(VENV)/.engines  ## test the profiles of other executors, and files in S3, with the plugins
	@OMP_NUM_THREADS=1 pytest tests/engines

wheel: $(VENV)/.test  ## build the source distribution and the wheel into dist/
	@rm -rf dist
	@python -m build --no-isolation --outdir dist . >/dev/null
	@ls dist

check-wheel: wheel  ## install the wheel into an environment with nothing else, and use it there
	@bash tests/deployment/wheel.sh dist/halo_localization-*.whl $(PYTHON)

check-container: wheel  ## build the image on a bare Debian and run the workflow in it, as root
	@command -v debootstrap >/dev/null && command -v buildah >/dev/null || { \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || { \
	    echo "The image is made by root, with debootstrap and buildah" >&2; exit 1; }; \
	  apt-get update -qq; \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends \
	    debootstrap buildah >/dev/null; }
	@unshare --mount bash tests/deployment/container.sh dist/halo_localization-*.whl

check-platforms: $(VENV)/.test  ## plan the installation of the locks on Linux (x86_64, aarch64) and macOS, Python 3.11 to 3.14
	@python requirements/platforms.py

audit: $(VENV)/.release  ## look for known vulnerabilities of the locked packages (pip-audit)
	@for lock in lock torch slurm engines test docs; do \
	  echo "requirements/$$lock.txt"; \
	  pip-audit --strict --disable-pip --no-deps --progress-spinner off --requirement requirements/$$lock.txt; \
	done

docs: $(VENV)/.docs  ## build the documentation's site into site/, strictly
	@NO_MKDOCS_2_WARNING=1 mkdocs build --strict
	@echo "The documentation: site/index.html"

pictures:  ## draw docs/images/pipeline.svg and network.svg
	@$(PYTHON) tools/pictures.py

lint: $(VENV)/.test  ## check the style of code and workflow
	@ruff check .
	@ruff format --check .
	@codespell
	@mypy
	@snakefmt --check $(SNAKEFILES)
	@snakemake --lint

format: $(VENV)/.test  ## format code and workflow
	@ruff check --fix .
	@ruff format .
	@snakefmt $(SNAKEFILES)

fuzz: $(VENV)/.test  ## feed damaged files to every reader (MINUTES=60 of CPU, SEED=1, READERS=all)
	@OMP_NUM_THREADS=1 PYTHONPATH=workflow:tests:tools/demo python -m fuzz.run \
	  --minutes $(MINUTES) --seed $(SEED) $(if $(READERS),--readers $(READERS))

bench-split: $(VENV)/.run  ## compare the split with GraphPart on 4,000 real proteins
	@PYTHONPATH=workflow python tests/benchmarks/bench_split.py

bench-structures: $(VENV)/.test  ## compare parsing of structures with Bio.PDB, and measure downloads
	@PYTHONPATH=workflow python tests/benchmarks/bench_structures.py

read-published: $(VENV)/.test  ## compare parsing of a folder of structures with Bio.PDB (HALO_STRUCTURES=folder)
	@PYTHONPATH=workflow python tests/benchmarks/read_published.py

bench-embed: $(VENV)/.run  ## compare embedding of proteins with fair-esm's procedure, and with esm-cpp
	@PYTHONPATH=workflow python tests/benchmarks/bench_embed.py

bench-host: $(VENV)/.run  ## measure what the host does in embedding and in loading, without computing
	@PYTHONPATH=workflow python tests/benchmarks/bench_host.py

bench-graph: $(VENV)/.test  ## compare graph building with the published algorithm
	@PYTHONPATH=workflow python tests/benchmarks/bench_graph.py

bench-train: $(VENV)/.test  ## compare training with graphs that are rebuilt each time
	@PYTHONPATH=workflow python tests/benchmarks/bench_train.py

bench-light-attention: $(VENV)/.test  ## compare light attention on a CPU with its padded form
	@PYTHONPATH=workflow python tests/benchmarks/bench_light_attention.py

bench-variants: $(VENV)/.test  ## compare mutants of signals with others, in the results of the demo and, with BUNDLE=folder, in real proteins
	@OMP_NUM_THREADS=1 PYTHONPATH=workflow python tests/benchmarks/variants.py results/demo
	@$(if $(BUNDLE),OMP_NUM_THREADS=1 PYTHONPATH=workflow python tests/benchmarks/real_signals.py $(BUNDLE))

bench-gpu: $(VENV)/.test  ## run the benchmarks on a GPU, and print the ratio of each
	@PYTHONPATH=workflow python tests/benchmarks/bench_gpu.py

bench-dag: $(VENV)/.run  ## measure Snakemake's dry run for 500,000 proteins
	@PYTHONPATH=workflow python tests/benchmarks/bench_dag.py

bench-incremental: $(VENV)/.run  ## change 13 of 1,000 real proteins (PROTEINS=28303: of all)
	@PYTHONPATH=workflow:tools/demo \
	  python tests/benchmarks/bench_incremental.py --proteins $(PROTEINS)

prove-split: $(VENV)/.run  ## split 28,303 real proteins in every mode and audit each split
	@PYTHONPATH=workflow python tests/benchmarks/prove_split.py

check-split: $(VENV)/.run  ## split 1,500 real proteins at a time and check it by aligning all pairs
	@PYTHONPATH=workflow python tests/benchmarks/check_split.py

pretrain: $(VENV)/.run  ## train the offline language model on real proteins (MINUTES=60)
	@python tools/language_model/pretrain.py --bfloat16 --minutes $(MINUTES) \
	  --folder results/pretrain --log results/pretrain/log
	@cp results/pretrain/esm2_offline.pt resources/language_model/

compare-finetuning: $(VENV)/.run  ## compare fine-tuning on 2,000 real proteins with training the head only
	@PYTHONPATH=workflow python tests/benchmarks/compare_finetuning.py

ablation: $(VENV)/.run  ## measure the contribution of each part of HALO on real human proteins (TESTED=3, 4 or dev)
	@PYTHONPATH=workflow python tests/benchmarks/ablation.py --tested $(TESTED) --proteins $(PROTEINS)

external-test: $(VENV)/.run  ## test the package's bundle, or BUNDLE=folder, on the HPA test set
	@PYTHONPATH=workflow python tests/benchmarks/external_set.py $(if $(BUNDLE),--bundle $(BUNDLE))

learning-curves: $(VENV)/.run  ## measure the parts of HALO at 500 to all training proteins of DeepLoc 2.0 (CURVES=options)
	@PYTHONPATH=workflow python tests/benchmarks/learning_curves.py $(CURVES)

sorting-signals: $(VENV)/.run  ## predict the sorting signals of TargetP 2.0 in a held-out partition (SIGNALS=options)
	@PYTHONPATH=workflow python tests/benchmarks/sorting_signals.py $(SIGNALS)

known-signals: $(VENV)/.run  ## compare what BUNDLE=folder explains and predicts with TargetP 2.0's signals (SIGNALS=options)
	@PYTHONPATH=workflow python tests/benchmarks/known_signals.py $(BUNDLE) $(SIGNALS)

reproduce: $(VENV)/.run  ## run the small benchmark twice, and compare (DATA=folder of the data sets)
	@python tests/benchmarks/reproduce.py --cores $(CORES) $(if $(DATA),--data $(DATA))

config-reference: $(VENV)/.run  ## generate docs/reference/configuration.md from the configuration model
	@PYTHONPATH=workflow python -m halo.config.reference

config-schema: $(VENV)/.run  ## generate the JSON schema of the configuration for editors (config/schema.json)
	@PYTHONPATH=workflow python -m halo.config.reference --schema config/schema.json

reruns: $(VENV)/.test  ## generate docs/reference/reruns.md: jobs that run again after a change of each key (some minutes)
	@PYTHONPATH=workflow:tests python tests/reruns.py

lock: $(VENV)/.test  ## lock pyproject.toml into requirements/ with the newest versions (KEEP=1: keep locked versions)
	@python requirements/lock.py $(if $(KEEP),--keep)

# Next to each file, where Snakemake looks for them. conda makes the environments to list them.
pins:  ## pin conda's solution for each of envs/*.yaml, on Linux with access to the channels
	@command -v $(CONDA_EXE) >/dev/null || { \
	  echo "Pins are solved by conda, and $(CONDA_EXE) is not on the PATH: install Miniforge, or" \
	    "name another program, as in: make CONDA_EXE=mamba pins" >&2; exit 1; }
	@[ "$$(uname -sm)" = "Linux x86_64" ] || { echo "Pins are for Linux on x86_64" >&2; exit 1; }
	@scratch=$$(mktemp -d); trap 'rm -rf "$$scratch"' EXIT; \
	for file in $(ENVS)/*.yaml; do \
	  pins="$${file%.yaml}.linux-64.pin.txt"; \
	  echo "$$pins"; \
	  $(CONDA_EXE) env create --quiet --file "$$file" --prefix "$$scratch/env"; \
	  $(CONDA_EXE) list --explicit --md5 --prefix "$$scratch/env" > "$$scratch/pins"; \
	  cp "$$scratch/pins" "$$pins"; \
	  sed -nE '/^ *- pip:/,$$s/^ +- ([A-Za-z0-9_.-]+) .*/\1/p' "$$file" > "$$scratch/names"; \
	  if [ -s "$$scratch/names" ]; then \
	    "$$scratch/env/bin/python" -I -m pip list --format freeze --disable-pip-version-check \
	      | tr _ - | grep -iF -f "$$scratch/names" | sed 's/^/python -I -m pip install --no-deps /' \
	      > "$${file%.yaml}.post-deploy.sh"; \
	  fi; \
	  rm -rf "$$scratch/env"; \
	done

clean:  ## remove the demo's results and the caches
	@rm -rf results/demo .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

chromium:
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || { \
	  if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	    echo "The browser tests need chromium and chromedriver on the PATH: install them" \
	      "(Debian: apt-get install chromium chromium-driver)" >&2; exit 1; \
	  fi; \
	  apt-get update -qq; \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends \
	    chromium chromium-driver >/dev/null; }

# For the file system with injected errors of tests/faults, which are skipped without a compiler.
compiler:
	@command -v cc >/dev/null || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || { \
	  apt-get update -qq; \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends \
	    gcc libc6-dev >/dev/null; }

SLURM_PACKAGES := slurmctld slurmd slurmdbd slurm-client munge mariadb-server

slurm:
	@[ "$$(id -u)" = 0 ] || { echo "Slurm's tests need root" >&2; exit 1; }
	@dpkg --status $(SLURM_PACKAGES) >/dev/null 2>&1 || { \
	  command -v apt-get >/dev/null || { \
	    echo "Slurm's tests need these packages of Debian: $(SLURM_PACKAGES)" >&2; exit 1; \
	  }; \
	  apt-get update -qq; \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends \
	    $(SLURM_PACKAGES) >/dev/null; }

# PyTorch's CPU build if pip's configuration finds it, else PyPI's with its CUDA libraries.
$(VENV)/.run: requirements/torch-cpu.txt requirements/torch.txt requirements/lock.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed; name one, as in: make PYTHON=python3.12 demo" >&2; \
	  exit 1; }
	@echo "Installing into $(VENV): a few minutes, once"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP_INSTALL) -r requirements/torch-cpu.txt 2>/dev/null || \
	  $(PIP_INSTALL) -r requirements/torch.txt
	@$(PIP_INSTALL) -r requirements/lock.txt
	@python -m pip check
	@touch $@

$(VENV)/.test: $(VENV)/.run requirements/test.txt
	@$(PIP_INSTALL) -r requirements/test.txt
	@python -m pip check
	@touch $@

$(VENV)/.docs: $(VENV)/.test requirements/docs.txt
	@$(PIP_INSTALL) -r requirements/docs.txt
	@python -m pip check
	@touch $@

$(VENV)/.slurm: $(VENV)/.test requirements/slurm.txt
	@$(PIP_INSTALL) -r requirements/slurm.txt
	@python -m pip check
	@touch $@

$(VENV)/.engines: $(VENV)/.test requirements/engines.txt
	@$(PIP_INSTALL) -r requirements/engines.txt
	@touch $@

$(VENV)/.release: $(VENV)/.test requirements/release.txt
	@$(PIP_INSTALL) -r requirements/release.txt
	@touch $@

$(VENV)/.envs: $(VENV)/.test requirements/envs.txt
	@$(PIP_INSTALL) -r requirements/envs.txt
	@python -m pip check
	@touch $@

#!/usr/bin/env bash
# Install a wheel into an environment with nothing but Python, and use it outside of the checkout:
#   bash tests/deployment/wheel.sh dist/halo_localization-*.whl [python3]
# First what predictions need, then what the workflow needs on top. Versions are those of the locks.
# Elsewhere than on Linux on x86_64, the Python has to have parasail, and MMseqs2 has to be on the PATH.
set -euo pipefail
wheel=$(realpath "$1")
python=${2:-python3}
locks=$(realpath "$(dirname "$0")/../../requirements")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
unset PYTHONPATH PYTHONHOME
export PYTHONNOUSERSITE=1 OMP_NUM_THREADS=1

step() { printf '\n== %s (after %d s)\n' "$1" "$SECONDS"; }
pip() { venv/bin/python -m pip install -qq --disable-pip-version-check --constraint pins "$@"; }
halo() { venv/bin/halo "$@"; }
# Versions without hashes and without the label of a local build.
sed -nE 's/^([A-Za-z0-9_.-]+==[^ +]*)(\+cpu)?( ;.*[^ \\])?( \\)?$/\1\3/p' \
    "$locks"/{torch,lock,slurm}.txt > pins

step "install for predictions"
case $(uname -sm) in
    "Linux x86_64") packages= ;;
    *) packages=--system-site-packages ;; # for parasail, which has no wheel
esac
"$python" -m venv $packages venv
pip "$wheel"
venv/bin/python -m pip check
for name in snakemake matplotlib; do
    if venv/bin/python -c "import $name" 2>/dev/null; then
        echo "$name is installed, which predictions do not need" >&2
        exit 1
    fi
done
halo --version
halo doctor --offline --store .
touch config.yaml
if halo run 2> said; then exit 1; fi
grep -q "pip install 'halo-localization\[workflow\]'" said
rm config.yaml

step "predict with the bundle of the package"
printf '>first\nMKVLATTRDEKLMSTNPKPQRKTKRNTNRRPQDVKFPGG\n' > few.fasta
halo predict few.fasta --out packaged --no-download
test "$(wc -l < packaged/predictions.csv)" -eq 2
halo variants few.fasta <(echo first:K2A) --out variants --no-download --random 0
test "$(wc -l < variants/variants.csv)" -eq 2

step "install the workflow"
pip "$wheel[workflow]"
venv/bin/python -m pip check
halo doctor --offline --store .

step "init, run, bundle"
demo=$(venv/bin/python -c \
    'from halo.commands.repository import packaged_file; print(packaged_file("resources/demo"))')
head -81 "$demo/proteins.csv" > mine.csv
halo init . --proteins mine.csv
halo run --cores 2 bundle report -- --quiet all --set-threads train=1 embeddings=1 --config \
    'split={folds: 3}' 'folds=["0"]' 'structures={sources: []}' \
    "embeddings={model: resources/demo/esm2_demo.pt}" \
    'network={hidden: 16, layers: 1, heads: 2, pooling_heads: 2}' \
    'training={epochs: 3, patience: 3}' 'evaluation={resamples: 100}' \
    'methods={halo: {class: network}, majority: {class: majority}}'
test -s results/mine/report.html
halo store check
halo store gc
halo check-model "$demo/esm2_demo.pt"

step "predict with that bundle"
halo predict few.fasta --bundle results/mine/bundle --out out --no-download \
    --language-model "$demo/esm2_demo.pt"
test "$(wc -l < out/predictions.csv)" -eq 2
step "passed"

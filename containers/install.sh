#!/bin/sh
# Install HALO into /opt/halo/venv of a Debian root: what Dockerfile and halo.def have in common.
#   sh install.sh cpu|cuda [page or folder with PyTorch's CPU builds]
# /opt/halo/build holds requirements/ and the wheel. Versions and checksums are those of the locks.
set -eu
build=$1
links=${2:-}
cd /opt/halo/build

apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends \
    ca-certificates git libgomp1 python3 python3-venv >/dev/null
rm -rf /var/lib/apt/lists/*

python3 -m venv /opt/halo/venv
pip() {
    /opt/halo/venv/bin/python -m pip install -qq --no-cache-dir --disable-pip-version-check \
        --no-deps "$@"
}
case $build in
    cpu)
        if [ -n "$links" ]; then export PIP_FIND_LINKS="$links"; fi
        pip --require-hashes -r requirements/torch-cpu.txt || {
            echo "no CPU build of PyTorch was found; installing PyPI's, with its CUDA libraries" >&2
            pip --require-hashes -r requirements/torch.txt
        } ;;
    cuda) pip --require-hashes -r requirements/torch.txt ;;
    *) echo "install.sh: cpu or cuda, and not '$build'" >&2; exit 2 ;;
esac
pip --require-hashes -r requirements/lock.txt -r requirements/slurm.txt
pip halo_localization-*.whl
/opt/halo/venv/bin/python -m pip check
ln -s /opt/halo/venv/bin/halo /opt/halo/venv/bin/snakemake /usr/local/bin/
/opt/halo/venv/bin/python -m compileall -q /opt/halo/venv/lib >/dev/null || true

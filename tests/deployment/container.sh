#!/usr/bin/env bash
# Build the file system of an image in a bare Debian root, by the script of the recipes, and run the
# workflow with its jobs in it, as Snakemake does with Apptainer:
#   unshare --mount bash tests/deployment/container.sh dist/halo_localization-*.whl [cpu|cuda]
# As root, with debootstrap. What is mounted disappears with the namespace.
set -euo pipefail
wheel=$(realpath "$1")
build=${2:-cpu}
here=$(realpath "$(dirname "$0")")
repository=$(realpath "$here/../..")
work=$(mktemp -d)
root=$work/root
run=$work/run
# Nothing is deleted as long as something is mounted below it.
cleanup() {
    cd /
    if mountpoint --quiet "$root"; then umount --recursive "$root" || true; fi
    # `--one-file-system` of rm does not stop at a bind mount of the same file system.
    if grep -qF " $work/" /proc/self/mounts; then
        echo "something is still mounted below $work; unmount it and delete the folder" >&2
        return
    fi
    rm -rf --one-file-system "$work"
}
trap cleanup EXIT
export PYTHONNOUSERSITE=1 OMP_NUM_THREADS=1

step() { printf '\n== %s (after %d s)\n' "$1" "$SECONDS"; }

step "a bare Debian"
release=$(sed -nE 's/^FROM debian:([a-z]+)-slim$/\1/p' "$repository/containers/Dockerfile")
test "$release" = "$(sed -nE 's/^From: debian:([a-z]+)-slim$/\1/p' "$repository/containers/halo.def")"
debootstrap --variant=minbase "$release" "$root" >/dev/null
mount --bind "$root" "$root" # so that all mounts below are undone at once
mount -t proc proc "$root/proc"
cp /etc/resolv.conf "$root/etc/"
# pip's variables of this machine are valid there, with copies of the files that they name.
if [ -n "${PIP_CERT:-}" ]; then
    cp -L "$PIP_CERT" "$root/opt/certificates.crt"
    export PIP_CERT=/opt/certificates.crt
fi
if [ -d "${PIP_FIND_LINKS:-}" ]; then
    mkdir -p "$root/opt/links"
    cp -r "$PIP_FIND_LINKS/." "$root/opt/links/"
    export PIP_FIND_LINKS=/opt/links
fi
mapfile -t variables < <(env | grep '^PIP_')
in_root() {
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
        "${variables[@]}" chroot "$root" "$@"
}

step "the recipe's script"
mkdir -p "$root/opt/halo/build"
cp -r "$repository/requirements" "$repository/containers/install.sh" "$wheel" "$root/opt/halo/build/"
in_root sh /opt/halo/build/install.sh "$build"
rm -r "$root/opt/halo/build"
# The lines of the environment in both recipes.
sed -n '/^%environment/,/^$/{s/^ *export/export/p}' "$repository/containers/halo.def" \
    > "$root/etc/halo-environment"
grep -q "PATH=/opt/halo/venv/bin:" "$repository/containers/Dockerfile"
du -sxh "$root" | cut -f1
in_root halo doctor --offline --store /tmp

step "a run with its jobs in the image"
unset PIP_CERT PIP_FIND_LINKS
mkdir -p "$run" "$root$run" "$work/bin" "$work/place"
mount --bind "$run" "$root$run"
ln -s "$here/apptainer" "$work/bin/apptainer"
python -m pip install -qq --no-deps --no-index --target "$work/place" "$wheel"
export PATH="$work/bin:$PATH" PYTHONPATH="$work/place"
cd "$run"
head -81 "$work/place/halo/repository/resources/demo/proteins.csv" > mine.csv
python -m halo init . --proteins mine.csv
python -m halo run --cores 2 -- --quiet all --sdm apptainer \
    --set-threads train=1 embeddings=1 --config "container=$root" \
    'split={folds: 3}' 'folds=["0"]' 'structures={sources: []}' \
    "embeddings={model: resources/demo/esm2_demo.pt}" \
    'network={hidden: 16, layers: 1, heads: 2, pooling_heads: 2}' \
    'training={epochs: 3, patience: 3}' 'evaluation={resamples: 100}' \
    'methods={halo: {class: network}, majority: {class: majority}}'
test -s results/mine/report.html
# The interpreter of the jobs is the image's.
version=$(in_root /opt/halo/venv/bin/python -c \
    'import platform; print(platform.python_version())')
grep -q "\"python\": \"$version" results/mine/provenance.json
step "passed"

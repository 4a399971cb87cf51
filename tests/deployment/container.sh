#!/usr/bin/env bash
# Build the image by the Dockerfile, from a bare Debian root, and run the workflow with its jobs in it,
# as Snakemake does with Apptainer:
#   unshare --mount bash tests/deployment/container.sh dist/halo_localization-*.whl [cpu|cuda]
# As root, with debootstrap and buildah. What is mounted disappears with the namespace.
set -euo pipefail
wheel=$(realpath "$1")
build=${2:-cpu}
here=$(realpath "$(dirname "$0")")
repository=$(realpath "$here/../..")
work=$(mktemp -d)
run=$work/run
# Nothing is deleted as long as something is mounted below it.
mounted() { cut -d' ' -f2 /proc/self/mounts | grep -F "$work/" | sort -r; }
cleanup() {
    cd /
    mounted | while read -r place; do umount "$place" || true; done
    # `--one-file-system` of rm does not stop at a bind mount of the same file system.
    if [ -n "$(mounted)" ]; then
        echo "something is still mounted below $work; unmount it and delete the folder" >&2
        return
    fi
    rm -rf --one-file-system "$work"
}
trap cleanup EXIT
export PYTHONNOUSERSITE=1 OMP_NUM_THREADS=1

step() { printf '\n== %s (after %d s)\n' "$1" "$SECONDS"; }
buildah() {
    TMPDIR=$work command buildah --root "$work/images" --runroot "$work/state" "$@"
}

step "a bare Debian"
base=$(sed -n 's/^FROM //p' "$repository/containers/Dockerfile")
test "$base" = "$(sed -n 's/^From: //p' "$repository/containers/halo.def")"
release=$(sed -nE 's/^debian:([a-z]+)-slim$/\1/p' <<< "$base")
debian=$(buildah from scratch)
root=$(buildah mount "$debian")
debootstrap --variant=minbase "$release" "$root" >/dev/null
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
{ echo "[global]" && env | sed -n 's/^PIP_//p'; } > "$root/etc/pip.conf"
unset PIP_CERT PIP_FIND_LINKS
buildah umount "$debian" >/dev/null
buildah commit --quiet --rm "$debian" "docker.io/library/$base" >/dev/null

step "the Dockerfile"
mkdir -p "$work/context/dist"
cp -r "$repository/.dockerignore" "$repository/requirements" "$repository/containers" "$work/context/"
cp "$wheel" "$work/context/dist/"
buildah build --isolation chroot --pull-never --file "$work/context/containers/Dockerfile" \
    --build-arg BUILD="$build" --tag halo "$work/context"
image=$(buildah from --pull-never localhost/halo)
buildah run --isolation chroot "$image" -- halo doctor --offline --store /tmp
root=$(buildah mount "$image")
mount -t proc proc "$root/proc"
du -sxh "$root" | cut -f1
# The lines of the environment in both recipes.
sed -n '/^%environment/,/^$/{s/^ *export/export/p}' "$repository/containers/halo.def" \
    > "$root/etc/halo-environment"
grep -q "PATH=/opt/halo/venv/bin:" "$repository/containers/Dockerfile"

step "a run with its jobs in the image"
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
version=$(chroot "$root" /opt/halo/venv/bin/python -c \
    'import platform; print(platform.python_version())')
grep -q "\"python\": \"$version" results/mine/provenance.json
step "passed"

#!/usr/bin/env bash
# What a new user does first, in a fresh folder and a fresh environment, from the files of dist/ alone: finds faces,
# trains on 100 annotated pictures, builds the site, and runs the commands that README.md and docs/ name.
#
# Usage: experiments/scripts/fresh_start.sh FOLDER [PYTHON]
#   FOLDER must not exist. Make the files of dist/ first: make wheel sdist. pip needs a network; the folder grows to
#   about 3 GB. Exit code 1 when a step fails, when detect takes more than 60 seconds, or when the training gains no AP.
#   MINUTES=10 is the budget of the training.
set -euo pipefail
case ${1:--h} in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
fail() {
    echo "error: $2" >&2
    exit "$1"
}
dist=$(cd "$(dirname "$0")/../.." && pwd)/dist
wheel=$(ls "$dist"/manyfaces-*.whl 2> /dev/null) || fail 2 "$dist holds no wheel: run make wheel sdist"
source=$(ls "$dist"/manyfaces-*.tar.gz 2> /dev/null) || fail 2 "$dist holds no source archive: run make sdist"
[ ! -e "$1" ] || fail 2 "$1 exists; give a folder that does not"
mkdir -p "$1/work" "$1/source"
folder=$(cd "$1" && pwd)
unset PYTHONPATH VIRTUAL_ENV
export PATH=$folder/env/bin:$PATH

step() {
    echo
    echo "== $1"
    shift
    echo "   $*"
    local start=$SECONDS
    "$@"
    took=$((SECONDS - start))
    echo "   took $took s"
}

cd "$folder/work"
step "a fresh environment" "${2:-python3}" -m venv "$folder/env"
step "the wheel" pip install --quiet "$wheel"
package=$(python -c 'import manyfaces; print(manyfaces.__path__[0])')
[[ $package == "$folder"/env/* ]] || fail 1 "$package is another manyfaces than that of the wheel"
cp "$package/datasets/toy/pictures/hopper.jpg" photo.jpg
step "faces in a photograph" manyfaces detect photo.jpg
[ "$took" -le 60 ] || fail 1 "detect took $took s, more than 60"
step "the extras" pip install --quiet --find-links "$dist" "$wheel[train,weights,docs]"
step "100 annotated pictures" manyfaces data toy --out photos --images 100
step "a training on them" manyfaces train photos/WIDER_toy/images photos/wider_face_split/wider_face_toy_bbx_gt.txt \
    --minutes "${MINUTES:-10}" --out mine 2>&1 | tee train.txt
grep -q "rose from" train.txt || fail 1 "the training gained no AP on the images held out"
step "faces by the trained model" manyfaces detect photo.jpg --weights mine/*.onnx
step "the source" tar xzf "$source" -C "$folder/source" --strip-components 1
cd "$folder/source"
step "the site" python docs/build_site.py
step "the commands of README and docs" python docs/check_commands.py --run --python "$folder/env/bin/python"
echo
echo "all done in $SECONDS s"

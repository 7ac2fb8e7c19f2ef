#!/usr/bin/env bash
# All steps without a download: generates scenes from two public-domain portraits in WIDER FACE's layout, trains
# cfgs/toy_ssh.yml on them from random initial weights, tests it on other scenes, evaluates by the official protocol.
#
# Usage: experiments/scripts/train_toy.sh
#   Needs about 6 minutes on 2 cores that other work uses too. Scenes stay in data/toy, the run in output/toy_ssh. Exit
#   code 1 when the AP of easy, medium or hard is below 0.90.
set -euo pipefail
case ${1:-} in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
RUN=output/toy_ssh

step() {
    echo
    echo "== $1"
    shift
    echo "   $*"
    "$@"
}

# The same seed gives the same scenes, so those that exist are not made again. Train, select and test share none.
for scenes in train:300:1 select:24:2 test:100:3; do
    IFS=: read -r name images seed <<< "$scenes"
    [ -f "data/pickles/toy_$name.pkl" ] && continue
    step "$name: $images scenes with their annotation" "$PYTHON" tools/make_toy.py --out "data/toy/$name" \
        --images "$images" --seed "$seed"
    step "$name: annotation to roidb" "$PYTHON" tools/build_roidb.py --format retinaface \
        --images "data/toy/$name/WIDER_toy/images" \
        --labels "data/toy/$name/wider_face_split/retinaface_toy_label.txt" --out "data/pickles/toy_$name.pkl"
done
if [ -d "$RUN" ]; then
    echo
    echo "== removing the earlier run in $RUN"
    rm -r "$RUN"
fi
step "train from random initial weights" "$PYTHON" tools/train.py --cfg cfgs/toy_ssh.yml
step "test on the scenes of data/toy/test" "$PYTHON" tools/test.py --cfg cfgs/toy_ssh.yml \
    --weights "$RUN/best.weights.h5" --images data/toy/test/WIDER_toy/images --out "$RUN/pred"
step "evaluate by the protocol of WIDER FACE" "$PYTHON" tools/evaluate.py wider --pred "$RUN/pred" \
    --gt data/toy/test/ground_truth --json "$RUN/result.json"
echo
"$PYTHON" - "$RUN/result.json" <<'END'
import json
import sys

result = json.load(open(sys.argv[1]))[0]
worst = min(("easy", "medium", "hard"), key=result.get)
print(f"the lowest AP is {result[worst]:.3f} ({worst}); expected at least 0.90")
sys.exit(result[worst] < 0.90)
END

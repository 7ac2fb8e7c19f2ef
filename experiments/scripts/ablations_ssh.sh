#!/usr/bin/env bash
# Trains SSH for 2,500 steps per row, one change at a time, and writes docs/results/ablations.csv.
#
# Usage: experiments/scripts/ablations_ssh.sh [NAME ...]   (default: all)
#   A training that was stopped continues; one that is complete is not repeated. All figures are of the selection images,
#   half way and at the end.
#   The roidbs come from experiments/scripts/build_roidbs.sh. About 16 minutes per row on 2 CPU cores.
#   The rows last... begin with the weights START of a training of ssh_mobilenet_v1_025 before its rate falls (in
#   the table: of its step 14,750) and train their last 1,200 steps at a falling rate. About 9 minutes per row.
set -euo pipefail
case ${1:-} in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
OUTPUT=${OUTPUT:-output}
START=${START:-$OUTPUT/ssh_mobilenet_v1_025/last.weights.h5}
TABLE=docs/results/ablations.csv
ALL_DATA=wider_train+facemask_train+wider_more_train
SELECT=wider_select+facemask_select+wider_more_select
LIGHT="NET.NORMALISE imagenet_std NET.SEPARABLE m1 NET.FROZEN_STAGES 0"

rows() { # NAME KEY VALUE ...: every row but `base` also has the images of wider_more; light...: the net of LIGHT
    cat <<END
base
more TRAIN.DATASETS $ALL_DATA
more_crowds TRAIN.DATASETS $ALL_DATA TRAIN.CROWDS 0.3
more_events TRAIN.DATASETS $ALL_DATA TRAIN.EVENTS 0.5
more_min_face_7 TRAIN.DATASETS $ALL_DATA AUGMENT.MIN_FACE 7
light_relu TRAIN.DATASETS $ALL_DATA $LIGHT NET.VARIANT torch_relu
light_relu_balance TRAIN.DATASETS $ALL_DATA $LIGHT NET.VARIANT torch_relu TARGETS.BALANCE 0.5
light_balance TRAIN.DATASETS $ALL_DATA $LIGHT TARGETS.BALANCE 0.5
light TRAIN.DATASETS $ALL_DATA $LIGHT
more_zoom_5 TRAIN.DATASETS $ALL_DATA AUGMENT.SCALES [0.15,5.0]
last
last_no_balance TARGETS.BALANCE 0
last_relu NET.VARIANT torch_relu
last_quality LOSS.CLASS quality TARGETS.BALANCE 0
last_masks TRAIN.DATASET_WEIGHTS [1.0,2.0,1.0]
END
}

while read -r name keys; do
    [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
    run=$OUTPUT/ablation_$name
    if [[ $name == last* ]]; then
        steps=1200
        what=(--cfg cfgs/ssh_mobilenet_v1_025.yml --init "$START" --set TRAIN.COOLDOWN 0.999 TRAIN.RATE 6e-4
            TRAIN.WARMUP 50 TRAIN.SELECT_EVERY 1200 AUGMENT.CLEAN_STEPS 600)
    else
        steps=2500
        what=(--cfg cfgs/ssh_mobilenet_v1_025_wide.yml --set TRAIN.SELECT_EVERY 1250 AUGMENT.CLEAN_STEPS 300 TEST.MAX_SIDE 2000)
    fi
    if ! grep -q "^$steps," "$run/select.csv" 2> /dev/null; then
        resume=()
        [ -f "$run/config.yml" ] && resume=(--resume)
        # shellcheck disable=SC2086  # the keys are words
        "$PYTHON" tools/train.py "${resume[@]}" "${what[@]}" NAME "ablation_$name" OUTPUT_DIR "$OUTPUT" \
            TRAIN.STEPS $steps TRAIN.SELECT $SELECT $keys
    fi
    "$PYTHON" - "$TABLE" "$name" "$keys" "$run/select.csv" <<'END'
import csv
import sys
from pathlib import Path

table, name, keys, log = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
measures = ["AP", "AP_wider_select", "AP_facemask_select", "AP_wider_more_select", "loss"]
rows = list(csv.DictReader(table.open(encoding="utf-8"))) if table.exists() else []
rows = [row for row in rows if row["name"] != name]
for selection in csv.DictReader(open(log, encoding="utf-8")):
    rows.append({"name": name, "changed": keys, "steps": selection["step"]}
                | {key: f"{float(selection[key]):.4f}" for key in measures})
with table.open("w", encoding="utf-8", newline="") as file:
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
END
done < <(rows)
cat $TABLE

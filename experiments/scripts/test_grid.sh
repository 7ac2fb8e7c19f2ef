#!/usr/bin/env bash
# Tests the grid detector on images that it was not trained on: IoU of the most confident box where there are at most
# 5 faces, and AP over all faces.
#
# Usage: experiments/scripts/test_grid.sh [GPU_ID] [DATASET] [NET] [more options of tools/test.py]
#   GPU_ID   0 (default), another number, or cpu
#   DATASET  wider (default) or facemask
#   NET      mobile_v2 (default) or mobile_v2_075; its weights are those in output/, else the shipped ones
#   DATA     environment variable: the folder with wider/, facemask/ and so on (default: data)
#
# Example: DATA=../shared/data experiments/scripts/test_grid.sh cpu wider mobile_v2
set -euo pipefail
source "$(dirname "$0")/names.sh"
case ${1:-} in -h | --help) usage; exit ;; esac
use_gpu "${1:-0}"
DATASET=${2:-wider}
CONFIG=$(grid_config "${3:-mobile_v2}")
shift $(($# < 3 ? $# : 3))

case $DATASET in
    wider) IMAGES=(--images "$DATA/wider/WIDER_val/images") ;;
    facemask) IMAGES=(--images "$DATA/facemask/images" --list "$DATA/facemask/val.txt") ;;
    *) fail "DATASET is '$DATASET', expected wider or facemask" ;;
esac
ROIDB=data/pickles/${DATASET}_val.pkl
[ -d "${IMAGES[1]}" ] || fail "${IMAGES[1]}: no such folder; see data/README.md, or set DATA"
[ -f "$ROIDB" ] || fail "$ROIDB: no such file; build it with experiments/scripts/build_roidbs.sh"

read -ra WEIGHTS <<< "$(weights_option "$CONFIG" "")"
OUT=output/$CONFIG/pred_$DATASET
echo "== $CONFIG on $DATASET ${WEIGHTS[*]:-with the shipped weights}"
"$PYTHON" tools/test.py --cfg "cfgs/$CONFIG.yml" "${WEIGHTS[@]}" "${IMAGES[@]}" --out "$OUT" "$@"
"$PYTHON" tools/evaluate.py best_box --roidb "$ROIDB" --pred "$OUT"
"$PYTHON" tools/evaluate.py roidb --roidb "$ROIDB" --pred "$OUT"

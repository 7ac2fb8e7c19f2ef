#!/usr/bin/env bash
# Tests SSD on images that it was not trained on, and evaluates what it found.
#
# Usage: experiments/scripts/test_ssd.sh [GPU_ID] [DATASET] [NET] [more options of tools/test.py]
#   GPU_ID   0 (default), another number, or cpu
#   DATASET  wider (default), crowd, facemask or toy
#   NET      mobile_v2 (default) or mobile_v2_crops; its weights are those in output/, else the shipped ones
#   DATA     environment variable: the folder with wider/, facemask/ and so on (default: data)
#
# Example: experiments/scripts/test_ssd.sh 0 wider mobile_v2 --flip
set -euo pipefail
source "$(dirname "$0")/names.sh"
case ${1:-} in -h | --help) usage; exit ;; esac
use_gpu "${1:-0}"
DATASET=${2:-wider}
CONFIG=$(ssd_config "${3:-mobile_v2}")
shift $(($# < 3 ? $# : 3))

TRUTH=$DATA/wider_eval/ground_truth
[ -d "$TRUTH" ] || TRUTH=$DATA/wider/ground_truth
case $DATASET in
    wider) IMAGES=(--images "$DATA/wider/WIDER_val/images"); EVALUATE=(wider --gt "$TRUTH") ;;
    crowd) IMAGES=(--images "$DATA/wider_crowd/images"); EVALUATE=(wider --gt "$TRUTH" --subset) ;;
    facemask) IMAGES=(--images "$DATA/facemask/images" --list "$DATA/facemask/val.txt")
              EVALUATE=(roidb --roidb data/pickles/facemask_val.pkl) ;;
    toy) IMAGES=(--images data/toy/test/WIDER_toy/images); EVALUATE=(wider --gt data/toy/test/ground_truth) ;;
    *) fail "DATASET is '$DATASET', expected wider, crowd, facemask or toy" ;;
esac
[ -d "${IMAGES[1]}" ] || fail "${IMAGES[1]}: no such folder; see data/README.md, or set DATA"
# A part of WIDER's 3,226 validation images is evaluated as what it is.
if [ "$DATASET" = wider ] && [ "$(find -L "${IMAGES[1]}" -name '*.jpg' | wc -l)" -lt 3226 ]; then EVALUATE+=(--subset); fi

read -ra WEIGHTS <<< "$(weights_option "$CONFIG" "$DATASET")"
OUT=output/$CONFIG/pred_$DATASET
echo "== $CONFIG on $DATASET ${WEIGHTS[*]:-with the shipped weights}"
"$PYTHON" tools/test.py --cfg "cfgs/$CONFIG.yml" "${WEIGHTS[@]}" "${IMAGES[@]}" --out "$OUT" "$@"
"$PYTHON" tools/evaluate.py "${EVALUATE[@]}" --pred "$OUT"

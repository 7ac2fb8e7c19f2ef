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
arguments grid mobile_v2 "$@"
case ${DATASET:=wider} in wider | facemask) ;; *) fail "DATASET is '$DATASET', expected wider or facemask" ;; esac
ROIDB=data/pickles/${DATASET}_val.pkl
[ -f "$ROIDB" ] || fail "$ROIDB: no such file; build it with experiments/scripts/build_roidbs.sh"
detect "$DATASET"
"$PYTHON" tools/evaluate.py best_box --roidb "$ROIDB" --pred "$OUT"
"$PYTHON" tools/evaluate.py roidb --roidb "$ROIDB" --pred "$OUT"

#!/usr/bin/env bash
# Trains MTCNN: samples and P-Net, samples mined with it and R-Net, samples mined with both and O-Net, export.
#
# Usage: experiments/scripts/train_mtcnn.sh [GPU_ID] [DATASET] [KEY VALUE ...]
#   GPU_ID   0 (default), another number, or cpu
#   DATASET  wider+facemask (default), wider, facemask, toy, or a name of your own: data/pickles/NAME_train.pkl and
#            NAME_select.pkl. Landmarks are learnt from landmarks_train.pkl where it is there, and from the data set.
#   KEY VALUE of the config, for all three nets
# wider+facemask goes to output/mtcnn_{pnet,rnet,onet}, another data set to output/mtcnn_DATASET/. The same command
# continues what was killed: what is done is not done again, samples go on with the next shard, a training with its last
# checkpoint. OUTPUT and DATA_DIR (default: output, data) may name other folders.
#
# Example: experiments/scripts/train_mtcnn.sh cpu wider+facemask TRAIN.BATCH 192
# From shipped weights: experiments/scripts/train_mtcnn.sh cpu mine TRAIN.INIT lib/pretrained/mtcnn
set -euo pipefail
source "$(dirname "$0")/names.sh"
case ${1:-} in -h | --help) usage; exit ;; esac
use_gpu "${1:-0}"
DATASET=${2:-wider+facemask}
MORE=("${@:3}")
DATA_DIR=${DATA_DIR:-data}
SOURCES=${DATASET//+/_train+}_train
LANDMARKS=landmarks_train+wider_train
SET=(DATA_DIR "$DATA_DIR")
if [ "$DATASET" != wider+facemask ]; then
    OUTPUT=$OUTPUT/mtcnn_$DATASET
    points() { # train or select: the sets with landmarks
        [ ! -f "$DATA_DIR/pickles/landmarks_$1.pkl" ] || echo -n "landmarks_$1+"
        echo "${DATASET//+/_$1+}_$1"
    }
    LANDMARKS=$(points train)
    SET+=(TRAIN.DATASETS "$SOURCES" TRAIN.SELECT "${DATASET//+/_select+}_select"
          MTCNN.LANDMARKS "$LANDMARKS" MTCNN.SELECT_LANDMARKS "$(points select)")
fi
SET+=(OUTPUT_DIR "$OUTPUT")

for stage in pnet rnet onet; do
    CFG=cfgs/mtcnn_$stage.yml
    options=("${SET[@]}" "${MORE[@]}")
    echo "== samples for $stage"
    "$PYTHON" tools/mtcnn_samples.py --stage "$stage" --cfg "$CFG" --set "${options[@]}"
    echo "== training of $stage"
    resume=()
    [ ! -f "$OUTPUT/mtcnn_$stage/config.yml" ] || resume=(--resume)
    "$PYTHON" tools/train.py --cfg "$CFG" "${resume[@]}" --set "${options[@]}"
done
echo "== export"
"$PYTHON" tools/export.py --cfg cfgs/mtcnn.yml --weights "$OUTPUT" --out "$OUTPUT/mtcnn" \
    --set TRAIN.DATASETS "$SOURCES" MTCNN.LANDMARKS "$LANDMARKS" "${SET[@]}" "${MORE[@]}"

#!/usr/bin/env bash
# Shows that a net of Tiny Faces learns: from random weights, four images of WIDER FACE's train set by heart, in crops
# of 256 px; then AP of the same four images at that size, 256 px wide.
#
# Usage: experiments/scripts/tiny_overfit.sh [GPU_ID] [NET] [KEY VALUE ... of the config]
#   GPU_ID   0 (default), another number, or cpu
#   NET      res101 (default), res50, res152, vgg16, mobile or mobile_v2
#   DATA     environment variable: the folder with wider/ (default: data)
# The run is output/overfit_tiny_BACKBONE. Exit code 1 when AP at IoU 0.5 stays under 1. docs/tiny.md has the times.
#
# Example: DATA=../shared/data experiments/scripts/tiny_overfit.sh cpu vgg16 TRAIN.STEPS 400
set -euo pipefail
source "$(dirname "$0")/names.sh"
case ${1:-} in -h | --help) usage; exit ;; esac
use_gpu "${1:-0}"
CONFIG=$(tiny_config "${2:-res101}")
RUN=output/overfit_$CONFIG IMAGES=$DATA/wider/WIDER_train/images
LABELS=$DATA/wider/wider_face_split/wider_face_train_bbx_gt.txt
[ -d "$IMAGES" ] || fail "$IMAGES: no such folder; see data/README.md, or set DATA"
[ ! -d "$RUN" ] || fail "$RUN is there already: move it away"

# 17 faces, 61 to 108 px high where the images are 800 px wide, so 20 to 35 px here; none is marked invalid.
mkdir -p "$RUN" data/pickles
cat > "$RUN/images.txt" << END
16--Award_Ceremony/16_Award_Ceremony_Awards_Ceremony_16_147.jpg
19--Couple/19_Couple_Couple_19_771.jpg
30--Surgeons/30_Surgeons_Surgeons_30_984.jpg
4--Dancing/4_Dancing_Dancing_4_737.jpg
END
"$PYTHON" tools/build_roidb.py --format wider --images "$IMAGES" --labels "$LABELS" --only "$RUN/images.txt" \
    --out data/pickles/overfit.pkl

# A crop holds a whole image, somewhere. All templates look, for TEST.TEMPLATES is meant for a pyramid. The config's rate
# and its frozen layers are for ImageNet's weights. A face from IoU 0.5 on, not 0.7: templates between background and
# face learn no box, and in a net that knows its images by heart they score as high as those that do.
MORE=("${@:3}")
# Without batch normalisation the faces, a few templates among 128 backgrounds, are learnt too slowly.
[ "$CONFIG" != tiny_vgg16 ] || MORE=(LOSS.OHEM_BATCH 32 TRAIN.BATCH 2 TRAIN.STEPS 300 TRAIN.SELECT_EVERY 50 "${MORE[@]}")
"$PYTHON" tools/train.py --cfg "cfgs/$CONFIG.yml" --set NAME "overfit_$CONFIG" NET.WEIGHTS "" NET.FROZEN_BN False \
    NET.FROZEN_STAGES 0 NET.BN_MOMENTUM 0.9 LOSS.WEIGHT_DECAY 0 TRAIN.DATASETS overfit TRAIN.SELECT overfit \
    TRAIN.SELECT_IMAGES 0 TRAIN.SELECT_EVERY 20 TRAIN.STEPS 120 TRAIN.BATCH 4 TRAIN.OPTIMIZER adamw TRAIN.RATE 5e-4 \
    TRAIN.SCHEDULE cosine TRAIN.WARMUP 20 TRAIN.LOG_EVERY 10 TRAIN.SAVE_EVERY 1000 TRAIN.IMAGES_EVERY 0 \
    AUGMENT.SIZE 256 AUGMENT.SCALE_CHOICES "[0.32]" AUGMENT.FLIP 0 TEST.SCALES "[1]" TEST.MAX_SIDE 256 \
    TEST.TEMPLATES "[]" TARGETS.POSITIVE 0.5 "${MORE[@]}"
"$PYTHON" tools/test.py --cfg "$RUN/config.yml" --weights "$RUN/last.weights.h5" --images "$IMAGES" \
    --list "$RUN/images.txt" --out "$RUN/pred"
"$PYTHON" tools/evaluate.py roidb --pred "$RUN/pred" --roidb data/pickles/overfit.pkl --json "$RUN/result.json"
exec "$PYTHON" - "$RUN/result.json" << 'END'
import json
import sys

ap = json.load(open(sys.argv[1]))[0]["ap50"]
print(f"AP at IoU 0.5 on the four images: {ap:.4f}; expected 1")
sys.exit(ap < 1 - 1e-9)
END

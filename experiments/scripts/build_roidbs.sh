#!/usr/bin/env bash
# Builds data/pickles/{wider_train,wider_select,wider_val,facemask_train,facemask_select,facemask_val}.pkl, and where
# DATA_DIR has their folders landmarks_{train,select,test}.pkl, wider_more_{train,select}.pkl, wider_events.pkl and
# wider_crowd.pkl.
#
# Usage: experiments/scripts/build_roidbs.sh [DATA_DIR]
#   DATA_DIR (default: data) holds some of these; what is missing is left out, and is named:
#     wider/WIDER_train/images, wider/WIDER_val/images, wider/wider_face_split/wider_face_{train,val}_bbx_gt.txt
#     wider/wider_face_split/{retinaface_train_label,train_minival}.txt, where they are: landmarks, selection images
#     facemask/images, facemask/annotations and, where they are, facemask/train.txt, facemask/val.txt
#     landmarks/images, landmarks/trainImageList.txt, landmarks/testImageList.txt
#     wider_{events,crowd}/images, wider_official/wider_face_val_bbx_gt.txt: parts of WIDER's val, and all of its labels
#     wider_more/WIDER_train/images, wider_more/wider_face_split/wider_face_train_bbx_gt.txt: more images of WIDER's train
# `manyfaces data fetch wider wider_landmarks` fetches WIDER FACE into data/wider.
# The *_select sets are a held-out part of train, the only images that checkpoints are chosen on: for wider the list
# train_minival.txt, for facemask and landmarks every tenth name of the train list; without a list, and for wider_more,
# the images whose MD5 of event/name (without the ending; the hexadecimal digest as one integer) is divisible by 10.
set -euo pipefail
case ${1:-} in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
cd "$(dirname "$0")/../.."
DATA=${1:-data}
OUT=data/pickles
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
mkdir -p "$OUT"

build() { # NAME OPTIONS...
    echo "== $1"
    BUILT=yes
    "$PYTHON" tools/build_roidb.py --out "$OUT/$1.pkl" "${@:2}"
}

SELECT=$(mktemp)
trap 'rm -f "$SELECT"' EXIT
BUILT=

if [ -d "$DATA/wider/WIDER_train/images" ]; then
    SPLIT=$DATA/wider/wider_face_split
    TRAIN=(--images "$DATA/wider/WIDER_train/images")
    if [ -f "$SPLIT/retinaface_train_label.txt" ]; then
        TRAIN+=(--format retinaface --labels "$SPLIT/retinaface_train_label.txt"
                --attributes "$SPLIT/wider_face_train_bbx_gt.txt")
    else
        echo "$SPLIT/retinaface_train_label.txt: not there, so wider_train has boxes and no landmarks;" \
            "'manyfaces data fetch wider_landmarks' fetches it"
        TRAIN+=(--format wider --labels "$SPLIT/wider_face_train_bbx_gt.txt")
    fi
    if [ -f "$SPLIT/train_minival.txt" ]; then
        build wider_train "${TRAIN[@]}" --without "$SPLIT/train_minival.txt"
        build wider_select "${TRAIN[@]}" --only "$SPLIT/train_minival.txt"
    else
        build wider "${TRAIN[@]}" --split 0.9 # wider_train and wider_select
    fi
fi
if [ -d "$DATA/wider/WIDER_val/images" ]; then
    build wider_val --format wider --images "$DATA/wider/WIDER_val/images" \
        --labels "$DATA/wider/wider_face_split/wider_face_val_bbx_gt.txt"
fi

if [ -d "$DATA/facemask/images" ]; then
    MASKS=(--format voc --images "$DATA/facemask/images" --labels "$DATA/facemask/annotations"
           --classes with_mask without_mask mask_weared_incorrect)
    if [ -f "$DATA/facemask/train.txt" ]; then
        awk 'NR % 10 == 0' "$DATA/facemask/train.txt" > "$SELECT"
        build facemask_train "${MASKS[@]}" --only "$DATA/facemask/train.txt" --without "$SELECT"
        build facemask_select "${MASKS[@]}" --only "$SELECT"
        build facemask_val "${MASKS[@]}" --only "$DATA/facemask/val.txt"
    else
        build facemask "${MASKS[@]}" --split 0.9 # facemask_train and facemask_select
    fi
fi

for PART in wider_events wider_crowd; do
    [ ! -d "$DATA/$PART" ] || build "$PART" --format wider --images "$DATA/$PART/images" --missing skip \
        --labels "$DATA/wider_official/wider_face_val_bbx_gt.txt"
done

if [ -d "$DATA/wider_more" ]; then
    MORE=(--format wider --images "$DATA/wider_more/WIDER_train/images"
          --labels "$DATA/wider_more/wider_face_split/wider_face_train_bbx_gt.txt")
    build wider_more --split 0.9 "${MORE[@]}"
fi

if [ -d "$DATA/landmarks" ]; then
    POINTS=(--format landmarks --images "$DATA/landmarks/images")
    awk 'NR % 10 == 0 {print $1}' "$DATA/landmarks/trainImageList.txt" > "$SELECT"
    build landmarks_train "${POINTS[@]}" --labels "$DATA/landmarks/trainImageList.txt" --without "$SELECT"
    build landmarks_select "${POINTS[@]}" --labels "$DATA/landmarks/trainImageList.txt" --only "$SELECT"
    build landmarks_test "${POINTS[@]}" --labels "$DATA/landmarks/testImageList.txt"
fi

if [ -z "$BUILT" ]; then
    echo "error: $DATA: has none of the folders that --help names." \
        "'manyfaces data fetch wider wider_landmarks wider_eval' fetches WIDER FACE (1.8 GB) into data; or name the" \
        "folder that holds wider/: experiments/scripts/build_roidbs.sh DIR" >&2
    exit 2
fi
for SET in wider/WIDER_train/images wider/WIDER_val/images facemask/images; do
    [ -d "$DATA/$SET" ] || echo "$DATA/$SET: no such folder, so its roidbs are not built"
done

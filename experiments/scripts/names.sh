# Sourced by the other scripts: what the short names stand for, and how every family is trained, tested, shown and
# exported. Takes the caller from HERE to the repository's root (ROOT) and sets PYTHON to the environment's Python.
HERE=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ROOT=$PWD
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo "$ROOT/.venv/bin/python" || echo python3)}
DATA=${DATA:-data}
OUTPUT=${OUTPUT:-output} # where trainings are looked for, and predictions and exported models go

fail() {
    echo "error: $*" >&2
    exit 2
}

usage() { # prints the comment at the head of the calling script
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
}

use_gpu() { # GPU_ID: a number, several joined by commas, or -1 or cpu for none
    case $1 in
        cpu | -1) export CUDA_VISIBLE_DEVICES=-1 ;;
        *[!0-9,]* | "") fail "GPU_ID is '$1', expected a number such as 0, or cpu" ;;
        *) export CUDA_VISIBLE_DEVICES=$1 ;;
    esac
}

backbone() { # NET, the short name that the old repositories used -> as our configs name it
    case $1 in
        vgg16) echo vgg16 ;;
        res50 | res101 | res152) echo "resnet${1#res}" ;;
        mobile_025) echo mobilenet_v1_025 ;;
        mobile) echo mobilenet_v1_100 ;;
        mobile_v2) echo mobilenet_v2_100 ;;
        *) fail "NET is '$1', expected vgg16, res50, res101, res152, mobile, mobile_v2 or mobile_025" ;;
    esac
}

ssh_config() { # NET -> name of the config
    local backbone
    backbone=$(backbone "$1") || exit 2
    echo "ssh_$backbone"
}

ssd_config() { # NET -> name of the config
    case $1 in
        mobile_v2) echo ssd_mobilenet_v2_075 ;;
        mobile_v2_crops) echo ssd_mobilenet_v2_075_crops ;;
        *) fail "NET is '$1', expected mobile_v2 or mobile_v2_crops" ;;
    esac
}

grid_config() { # NET -> name of the config
    case $1 in
        mobile_v2) echo grid_mobilenet_v2_100 ;;
        mobile_v2_075) echo grid_mobilenet_v2_075 ;;
        *) fail "NET is '$1', expected mobile_v2 or mobile_v2_075" ;;
    esac
}

tiny_config() { # NET -> name of the config
    local backbone
    backbone=$(backbone "$1") || exit 2
    echo "tiny_$backbone"
}

mtcnn_config() { # NET -> name of the config: the cascade of all three nets
    case $1 in
        cascade) echo mtcnn ;;
        *) fail "NET is '$1', expected cascade" ;;
    esac
}

run_name() { # CONFIG DATASET -> name below output/: that of the config, and the data set where that is not the config's
    case $1:$2 in
        *: | mtcnn:wider+facemask | grid_*:wider+facemask | ssd_*:wider+facemask | ssh_mobilenet_v1_025:wider+facemask) echo "$1" ;;
        ssh_vgg16:wider | ssh_resnet*:wider | ssh_mobilenet_v?_100:wider) echo "$1" ;;
        tiny_vgg16:wider | tiny_resnet*:wider | tiny_mobilenet_v?_100:wider) echo "$1" ;;
        tiny_mobilenet_v1_025:wider+facemask) echo "$1" ;;
        *) echo "$1_$2" ;;
    esac
}

weights_option() { # CONFIG DATASET: the best weights trained on the data set, else those of the config, else the shipped
    local name folder stage output=$OUTPUT
    case $output in /*) ;; *) output=$ROOT/$output ;; esac # the demo is run from where the user is
    if [ "$1" = mtcnn ]; then # three nets, trained below output/mtcnn_DATASET or output: mtcnn_pnet and so on
        for folder in "$output/mtcnn_$2" "$output"; do
            for stage in pnet rnet onet; do
                [ -n "$(find "$folder/mtcnn_$stage" -name "*.weights.h5" 2> /dev/null)" ] || continue 2
            done
            echo "--weights $folder"
            return
        done
        return 0
    fi
    for name in "$(run_name "$1" "$2")" "$1"; do
        if [ -f "$output/$name/best.weights.h5" ]; then
            echo "--weights $output/$name/best.weights.h5"
            return
        fi
    done
}

arguments() { # FAMILY NET [GPU_ID] [DATASET] [NET] [more]: sets DATASET, CONFIG and MORE; the second word is the default
    local family=$1 net=$2
    shift 2
    case ${1:-} in -h | --help) usage; exit ;; esac
    use_gpu "${1:-0}"
    DATASET=${2:-}
    CONFIG=$("${family}_config" "${3:-$net}")
    MORE=("${@:4}")
}

train_family() {
    arguments "$@"
    local options=()
    case $DATASET in
        "") ;;
        wider | facemask | wider+facemask | toy)
            options=(--set NAME "$(run_name "$CONFIG" "$DATASET")" TRAIN.DATASETS "${DATASET//+/_train+}_train"
                     TRAIN.SELECT "${DATASET//+/_select+}_select") ;;
        *) fail "DATASET is '$DATASET', expected wider, facemask, wider+facemask or toy" ;;
    esac
    local gpus=${CUDA_VISIBLE_DEVICES//[!,]/} # a comma less than there are GPUs
    [ -z "$gpus" ] || options+=(--devices $((${#gpus} + 1)))
    exec "$PYTHON" tools/train.py --cfg "cfgs/$CONFIG.yml" "${options[@]}" "${MORE[@]}"
}

demo_family() {
    arguments "$@"
    local weights
    read -ra weights <<< "$(weights_option "$CONFIG" "$DATASET")"
    cd "$HERE" # the sources are named from where the user is
    exec "$PYTHON" "$ROOT/tools/demo.py" --cfg "$ROOT/cfgs/$CONFIG.yml" "${weights[@]}" "${MORE[@]}"
}

images_of() { # DATASET: sets IMAGES, the options of tools/test.py that name its images
    case $1 in
        wider) IMAGES=(--images "$DATA/wider/WIDER_val/images") ;;
        crowd) IMAGES=(--images "$DATA/wider_crowd/images") ;;
        facemask) IMAGES=(--images "$DATA/facemask/images" --list "$DATA/facemask/val.txt") ;;
        toy) IMAGES=(--images data/toy/test/WIDER_toy/images) ;;
        *) fail "DATASET is '$1', expected wider, crowd, facemask or toy" ;;
    esac
    [ -d "${IMAGES[1]}" ] || fail "${IMAGES[1]}: no such folder; see data/README.md, or set DATA"
}

detect() { # DATASET: tests CONFIG on it; sets OUT, where the predictions are
    images_of "$1"
    local weights
    read -ra weights <<< "$(weights_option "$CONFIG" "$1")"
    OUT=$OUTPUT/$CONFIG/pred_$1
    echo "== $CONFIG on $1 ${weights[*]:-with the shipped weights}"
    "$PYTHON" tools/test.py --cfg "cfgs/$CONFIG.yml" "${weights[@]}" "${IMAGES[@]}" --out "$OUT" "${MORE[@]}"
}

test_family() {
    arguments "$@"
    DATASET=${DATASET:-wider}
    detect "$DATASET"
    local truth=$DATA/wider_eval/ground_truth options
    [ -d "$truth" ] || truth=$DATA/wider/ground_truth
    case $DATASET in
        wider) options=(wider --gt "$truth")
               # A part of WIDER's 3,226 validation images is evaluated as what it is.
               [ "$(find -L "${IMAGES[1]}" -name '*.jpg' | wc -l)" -ge 3226 ] || options+=(--subset) ;;
        crowd) options=(wider --gt "$truth" --subset) ;;
        facemask) options=(roidb --roidb data/pickles/facemask_val.pkl) ;;
        toy) options=(wider --gt data/toy/test/ground_truth) ;;
    esac
    "$PYTHON" tools/evaluate.py "${options[@]}" --pred "$OUT"
}

export_family() { # FAMILY NET [GPU_ID] [DATASET] [NET] [FORMAT] [more options of tools/export.py]
    arguments "$@"
    local format=${MORE[0]:-onnx} name weights options=() out
    MORE=("${MORE[@]:1}")
    read -ra weights <<< "$(weights_option "$CONFIG" "$DATASET")"
    name=$(run_name "$CONFIG" "$DATASET")
    case $format in
        *_int8) # WIDER FACE's training images, of which none is in the figures that are reported
            options=(--int8 --calibrate "$DATA/wider/WIDER_train/images")
            [ -d "${options[2]}" ] || fail "${options[2]}: no such folder; see data/README.md, or set DATA" ;;
        onnx_nms) options=(--nms) ;;
    esac
    case $format in # two models in one folder must not share a stem: each has MODEL.json beside it
        onnx) out=$name.onnx ;;
        onnx_nms | onnx_int8) out=${name}_${format#onnx_}.onnx ;;
        openvino | openvino_int8) out=${name}_$format.xml ;;
        litert | litert_int8) out=${name}_$format.tflite ;;
        saved_model) out=${name}_$format ;;
        *) fail "FORMAT is '$format', expected onnx, onnx_nms, onnx_int8, openvino, openvino_int8, litert," \
                "litert_int8 or saved_model" ;;
    esac
    if [ "$CONFIG" = mtcnn ]; then # three nets in a folder
        case $format in
            onnx | openvino) out=$format options=(--format "$format") ;;
            *) fail "FORMAT is '$format', expected onnx or openvino for mtcnn" ;;
        esac
    fi
    exec "$PYTHON" tools/export.py --cfg "cfgs/$CONFIG.yml" "${weights[@]}" --out "$OUTPUT/$name/$out" \
        "${options[@]}" "${MORE[@]}"
}

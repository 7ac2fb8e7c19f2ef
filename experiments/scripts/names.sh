# Sourced by the other scripts: what the short names stand for. Takes the caller to the repository's root (ROOT) and sets
# PYTHON to the environment's Python.
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
ROOT=$PWD
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo "$ROOT/.venv/bin/python" || echo python3)}
DATA=${DATA:-data}

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

ssh_config() { # NET -> name of the config
    case $1 in
        vgg16) echo ssh_vgg16 ;;
        mobile_025) echo ssh_mobilenet_v1_025 ;;
        mobile) echo ssh_mobilenet_v1_100 ;;
        *) fail "NET is '$1', expected vgg16, mobile_025 or mobile" ;;
    esac
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

run_name() { # CONFIG DATASET -> name below output/: that of the config, and the data set where that is not the config's
    case $1:$2 in
        *: | grid_*:wider+facemask | ssd_*:wider+facemask | ssh_mobilenet_v1_025:wider+facemask | ssh_vgg16:wider | ssh_mobilenet_v1_100:wider) echo "$1" ;;
        *) echo "$1_$2" ;;
    esac
}

weights_option() { # CONFIG DATASET: the best weights trained on the data set, else those of the config, else the shipped
    local name
    for name in "$(run_name "$1" "$2")" "$1"; do
        if [ -f "output/$name/best.weights.h5" ]; then
            echo "--weights $ROOT/output/$name/best.weights.h5"
            return
        fi
    done
}

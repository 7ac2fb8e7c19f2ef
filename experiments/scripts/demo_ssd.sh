#!/usr/bin/env bash
# Draws what SSD finds in demo/data, or in the sources that are given; pictures go to demo/visualize.
#
# Usage: experiments/scripts/demo_ssd.sh [GPU_ID] [DATASET] [NET] [SOURCE and more options of tools/demo.py]
#   GPU_ID   0 (default), another number, or cpu
#   DATASET  what it was trained on, as in train_ssd.sh; default: the one of the net's config
#   NET      mobile_v2 (default) or mobile_v2_crops; its weights are those in output/, else the shipped ones
#
# Example: experiments/scripts/demo_ssd.sh cpu "" mobile_v2 holiday/*.jpg
set -euo pipefail
HERE=$PWD
source "$(dirname "$0")/names.sh"
case ${1:-} in -h | --help) usage; exit ;; esac
use_gpu "${1:-0}"
DATASET=${2:-}
CONFIG=$(ssd_config "${3:-mobile_v2}")
shift $(($# < 3 ? $# : 3))

read -ra WEIGHTS <<< "$(weights_option "$CONFIG" "$DATASET")"
cd "$HERE" # the sources are named from where the user is
exec "$PYTHON" "$ROOT/tools/demo.py" --cfg "$ROOT/cfgs/$CONFIG.yml" "${WEIGHTS[@]}" "$@"

#!/usr/bin/env bash
# Trains the grid detector.
#
# Usage: experiments/scripts/train_grid.sh [GPU_ID] [DATASET] [NET] [more options of tools/train.py]
#   GPU_ID   0 (default), another number, several joined by commas (they share each batch), or cpu
#   DATASET  wider, facemask, wider+facemask or toy; default: that of the net's config
#            (data/pickles/DATASET_train.pkl and DATASET_select.pkl, from experiments/scripts/build_roidbs.sh)
#   NET      mobile_v2 (default) or mobile_v2_075
# mobile_v2 starts from data/imagenet/mobilenet_v2_100.weights.h5, see docs/grid.md.
#
# Example: experiments/scripts/train_grid.sh cpu "" mobile_v2 --resume
source "$(dirname "$0")/start.sh" train grid "$@"

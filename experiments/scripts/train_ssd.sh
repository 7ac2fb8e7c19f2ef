#!/usr/bin/env bash
# Trains SSD, the light single-head detector at 300 x 300.
#
# Usage: experiments/scripts/train_ssd.sh [GPU_ID] [DATASET] [NET] [more options of tools/train.py]
#   GPU_ID   0 (default), another number, several joined by commas (they share each batch), or cpu
#   DATASET  wider, facemask, wider+facemask or toy; default: that of the net's config
#            (data/pickles/DATASET_train.pkl and DATASET_select.pkl, from experiments/scripts/build_roidbs.sh)
#   NET      mobile_v2 (default) or mobile_v2_crops
#
# Example: experiments/scripts/train_ssd.sh 0 wider mobile_v2
#          experiments/scripts/train_ssd.sh cpu "" mobile_v2 --resume
source "$(dirname "$0")/start.sh" train ssd "$@"

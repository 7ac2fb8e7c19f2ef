#!/usr/bin/env bash
# Trains SSH.
#
# Usage: experiments/scripts/train_ssh.sh [GPU_ID] [DATASET] [NET] [more options of tools/train.py]
#   GPU_ID   0 (default), another number, several joined by commas (they share each batch), or cpu
#   DATASET  wider, facemask, wider+facemask or toy; default: that of the net's config
#            (data/pickles/DATASET_train.pkl and DATASET_select.pkl, from experiments/scripts/build_roidbs.sh)
#   NET      mobile_025 (default), mobile, mobile_v2, vgg16, res50, res101 or res152
#
# Example: experiments/scripts/train_ssh.sh 0 wider vgg16
#          experiments/scripts/train_ssh.sh cpu "" mobile_025 --resume
source "$(dirname "$0")/start.sh" train ssh "$@"

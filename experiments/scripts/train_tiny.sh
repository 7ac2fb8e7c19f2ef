#!/usr/bin/env bash
# Trains Tiny Faces, by default ResNet101 on WIDER FACE as in the paper.
#
# Usage: experiments/scripts/train_tiny.sh [GPU_ID] [DATASET] [NET] [more options of tools/train.py]
#   GPU_ID   0 (default), another number, several joined by commas, or cpu
#   DATASET  wider (default), facemask, wider+facemask or toy
#            (data/pickles/DATASET_train.pkl and DATASET_select.pkl, from experiments/scripts/build_roidbs.sh)
#   NET      res101 (default), res50, res152, vgg16, mobile, mobile_v2 or mobile_025
#
# Example: experiments/scripts/train_tiny.sh 0
#          experiments/scripts/train_tiny.sh cpu wider+facemask mobile_025 --resume
source "$(dirname "$0")/start.sh" train tiny "$@"

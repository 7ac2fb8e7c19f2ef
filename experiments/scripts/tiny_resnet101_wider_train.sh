#!/usr/bin/env bash
# The same as train_tiny.sh, whose --help describes the arguments: Tiny Faces, by default on ResNet101.
#
# Usage: experiments/scripts/tiny_resnet101_wider_train.sh [GPU_ID] [DATASET] [NET] [more options of tools/train.py]
source "$(dirname "$0")/start.sh" train tiny "$@"

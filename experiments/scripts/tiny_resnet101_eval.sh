#!/usr/bin/env bash
# The same as test_tiny.sh, whose --help describes the arguments: Tiny Faces, by default on ResNet101.
#
# Usage: experiments/scripts/tiny_resnet101_eval.sh [GPU_ID] [DATASET] [NET] [more options of tools/test.py]
source "$(dirname "$0")/start.sh" test tiny "$@"

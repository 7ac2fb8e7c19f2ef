#!/usr/bin/env bash
# The same as demo_tiny.sh, whose --help describes the arguments: Tiny Faces, by default on ResNet101.
#
# Usage: experiments/scripts/demo_tiny_resnet101.sh [GPU_ID] [DATASET] [NET] [SOURCE and more options of tools/demo.py]
source "$(dirname "$0")/start.sh" demo tiny "$@"

#!/usr/bin/env bash
# Draws what Tiny Faces, by default on ResNet101, finds in demo/data, or in the sources that are given; pictures with
# the bar of score colours go to demo/visualize.
#
# Usage: experiments/scripts/demo_tiny_resnet101.sh [GPU_ID] [DATASET] [NET] [SOURCE and more options of tools/demo.py]
#   GPU_ID   0 (default), another number, or cpu
#   DATASET  what it was trained on, as in tiny_resnet101_wider_train.sh; default: the one of the net's config
#   NET      res101 (default), res50, res152, vgg16, mobile, mobile_v2 or mobile_025; its weights are those in output/,
#            else the shipped ones
#
# Example: experiments/scripts/demo_tiny_resnet101.sh cpu "" mobile_025 holiday/*.jpg
set -euo pipefail
source "$(dirname "$0")/names.sh"
demo_family tiny res101 "$@"

#!/usr/bin/env bash
# Draws what SSH finds in demo/data, or in the sources that are given; pictures go to demo/visualize.
#
# Usage: experiments/scripts/demo_ssh.sh [GPU_ID] [DATASET] [NET] [SOURCE and more options of tools/demo.py]
#   GPU_ID   0 (default), another number, or cpu
#   DATASET  what it was trained on, as in train_ssh.sh; default: the one of the net's config
#   NET      mobile_025 (default), mobile, mobile_v2, vgg16, res50, res101 or res152; its weights are those in output/,
#            else the shipped ones
#
# Example: experiments/scripts/demo_ssh.sh cpu "" mobile_025 holiday/*.jpg
set -euo pipefail
source "$(dirname "$0")/names.sh"
demo_family ssh mobile_025 "$@"

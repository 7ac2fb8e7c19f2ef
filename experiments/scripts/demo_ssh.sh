#!/usr/bin/env bash
# Draws the faces that SSH finds in demo/data or in SOURCE, into demo/visualize or, elsewhere, faces.
#
# Usage: experiments/scripts/demo_ssh.sh [GPU_ID] [DATASET] [NET] [SOURCE and more options of tools/demo.py]
#   GPU_ID   0 (default), another number, or cpu
#   DATASET  the data set of its training, as in train_ssh.sh; default: that of the net's config
#   NET      mobile_025 (default), mobile, mobile_v2, vgg16, res50, res101 or res152; its weights are those in output/,
#            else the shipped ones
#
# Example: experiments/scripts/demo_ssh.sh cpu "" mobile_025 holiday/*.jpg
source "$(dirname "$0")/start.sh" demo ssh "$@"

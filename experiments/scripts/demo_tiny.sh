#!/usr/bin/env bash
# Draws the faces that Tiny Faces, by default on ResNet101, finds in demo/data or in SOURCE; pictures with the bar of
# score colours go to demo/visualize where the working folder has it, else to faces.
#
# Usage: experiments/scripts/demo_tiny.sh [GPU_ID] [DATASET] [NET] [SOURCE and more options of tools/demo.py]
#   GPU_ID   0 (default), another number, or cpu
#   DATASET  the data set of its training, as in train_tiny.sh; default: that of the net's config
#   NET      res101 (default), res50, res152, vgg16, mobile, mobile_v2 or mobile_025; its weights are those in output/,
#            else the shipped ones
#
# Example: experiments/scripts/demo_tiny.sh cpu "" mobile_025 holiday/*.jpg
source "$(dirname "$0")/start.sh" demo tiny "$@"

#!/usr/bin/env bash
# Draws the faces that SSD finds in demo/data or in SOURCE, into demo/visualize or, elsewhere, faces.
#
# Usage: experiments/scripts/demo_ssd.sh [GPU_ID] [DATASET] [NET] [SOURCE and more options of tools/demo.py]
#   GPU_ID   0 (default), another number, or cpu
#   DATASET  the data set of its training, as in train_ssd.sh; default: that of the net's config
#   NET      mobile_v2 (default) or mobile_v2_crops; its weights are those in output/, else the shipped ones
#
# Example: experiments/scripts/demo_ssd.sh cpu "" mobile_v2 holiday/*.jpg
source "$(dirname "$0")/start.sh" demo ssd "$@"

#!/usr/bin/env bash
# Draws the faces that MTCNN finds in demo/data or in SOURCE, into demo/visualize or, elsewhere, faces.
#
# Usage: experiments/scripts/demo_mtcnn.sh [GPU_ID] [DATASET] [NET] [SOURCE and more options of tools/demo.py]
#   GPU_ID   0 (default), another number, or cpu
#   DATASET  the data set of its training, as in train_mtcnn.sh; default: wider+facemask
#   NET      cascade (default): the nets mtcnn_pnet, _rnet and _onet in output/mtcnn_DATASET, else in output, else the
#            shipped ones
#   OUTPUT   environment variable: a folder instead of output
#
# Example: experiments/scripts/demo_mtcnn.sh cpu "" cascade holiday/*.jpg
source "$(dirname "$0")/start.sh" demo mtcnn "$@"

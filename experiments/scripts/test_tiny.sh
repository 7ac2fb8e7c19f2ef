#!/usr/bin/env bash
# Tests Tiny Faces, by default ResNet101, on images that it was not trained on, and evaluates its detections. The
# pyramid and the choice of templates are those of the net's config.
#
# Usage: experiments/scripts/test_tiny.sh [GPU_ID] [DATASET] [NET] [more options of tools/test.py]
#   GPU_ID   0 (default), another number, or cpu
#   DATASET  wider (default), events, crowd, facemask or toy
#   NET      res101 (default), res50, res152, vgg16, mobile, mobile_v2 or mobile_025; its weights are those in output/,
#            else the shipped ones
#   DATA     environment variable: the folder with wider/, facemask/ and so on (default: data)
#
# Example: experiments/scripts/test_tiny.sh 0 wider res101 --flip
source "$(dirname "$0")/start.sh" test tiny "$@"

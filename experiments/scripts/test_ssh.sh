#!/usr/bin/env bash
# Tests SSH on images that it was not trained on, and evaluates its detections.
#
# Usage: experiments/scripts/test_ssh.sh [GPU_ID] [DATASET] [NET] [more options of tools/test.py]
#   GPU_ID   0 (default), another number, or cpu
#   DATASET  wider (default), events, crowd, facemask or toy
#   NET      mobile_025 (default), mobile, mobile_v2, vgg16, res50, res101 or res152; its weights are those in output/,
#            else the shipped ones
#   DATA     environment variable: the folder with wider/, facemask/ and so on (default: data)
#
# Example: experiments/scripts/test_ssh.sh 0 wider mobile_025 --scales 0.5,1,2 --flip
source "$(dirname "$0")/start.sh" test ssh "$@"

#!/usr/bin/env bash
# Exports MTCNN: the folder output/mtcnn/onnx with pnet.onnx, rnet.onnx, onet.onnx and one sidecar, cascade.json.
#
# Usage: experiments/scripts/export_mtcnn.sh [GPU_ID] [DATASET] [NET] [FORMAT] [more options of tools/export.py]
#   GPU_ID   0 (default), another number, or cpu
#   DATASET  the data set of its training, as in train_mtcnn.sh; default: wider+facemask
#   NET      cascade (default): the nets mtcnn_pnet, _rnet and _onet in output/mtcnn_DATASET, else in output, else the
#            shipped ones
#   OUTPUT   environment variable: a folder instead of output
#   FORMAT   onnx (default) or openvino
#
# Example: experiments/scripts/export_mtcnn.sh cpu "" cascade onnx
source "$(dirname "$0")/start.sh" export mtcnn "$@"

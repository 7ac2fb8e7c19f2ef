#!/usr/bin/env bash
# Exports SSD for use without Keras; the file and its sidecar go to the net's folder below output.
#
# Usage: experiments/scripts/export_ssd.sh [GPU_ID] [DATASET] [NET] [FORMAT] [more options of tools/export.py]
#   GPU_ID   0 (default), another number, or cpu
#   DATASET  the data set of its training, as in train_ssd.sh; default: that of the net's config
#   NET      mobile_v2 (default) or mobile_v2_crops; its weights are those in output/, else the shipped ones
#   FORMAT   onnx (default), onnx_nms (decoding and NMS inside), openvino, litert, saved_model, or, in eight bits and
#            calibrated on WIDER FACE's training set, onnx_int8, openvino_int8, litert_int8
#   DATA     environment variable: the folder with wider/ (default: data)
#
# Example: experiments/scripts/export_ssd.sh cpu "" mobile_v2 openvino_int8
source "$(dirname "$0")/start.sh" export ssd "$@"

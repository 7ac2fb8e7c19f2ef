#!/usr/bin/env bash
# Trains MTCNN: samples and P-Net, samples mined with it and R-Net, samples mined with both and O-Net, export.
#
# Usage: experiments/scripts/train_mtcnn.sh [GPU_ID] [DATASET] [KEY VALUE ...]
#   GPU_ID   0 (default), another number, or cpu
#   DATASET  wider+facemask (default), wider, facemask, toy, or a name of your own: data/pickles/NAME_train.pkl and
#            NAME_select.pkl. Landmarks are learnt from the data set, and from landmarks_train.pkl where that exists.
#   KEY VALUE of the config, for all three nets
# wider+facemask goes to output/mtcnn_{pnet,rnet,onet}, another data set to output/mtcnn_DATASET/. After an interruption
# the same command continues: finished steps are skipped, samples continue with the next shard, a training with its last
# checkpoint. OUTPUT and DATA_DIR (default: output, data) may name other folders.
#
# Example: experiments/scripts/train_mtcnn.sh cpu wider+facemask TRAIN.BATCH 192
# From shipped weights: experiments/scripts/train_mtcnn.sh cpu mine TRAIN.INIT lib/pretrained/mtcnn
source "$(dirname "$0")/start.sh" train mtcnn "$@"

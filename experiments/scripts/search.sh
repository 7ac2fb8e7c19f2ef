#!/usr/bin/env bash
# Searches for better values of config keys with Optuna (the extra `search`).
#
# Usage: experiments/scripts/search.sh KEY=RANGE ... --cfg NAME [--trials N] [more options of `manyfaces search`]
#   RANGE   log:LOW:HIGH, float:LOW:HIGH, int:LOW:HIGH or choice:A,B,C
#   The same command continues a search that was stopped or killed. output/NAME_search holds the study (SQLite), a folder
#   per trial, trials.csv and best.yml.
#
# Example: experiments/scripts/search.sh TRAIN.RATE=log:1e-4:1e-2 LOSS.BOX=choice:diou,smooth_l1 --cfg toy_ssh --trials 20
set -euo pipefail
case ${1:-} in -h | --help | "") sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
cd "$(dirname "$0")/../.."
exec "${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}" -m manyfaces search "$@"

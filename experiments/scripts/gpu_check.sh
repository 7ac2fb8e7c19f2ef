#!/usr/bin/env bash
# What a GPU is worth here, in less than ten minutes and without a network: builds the package, proves the NMS kernels
# on the card, times them, trains on the card beside the processor, and prints images/s by batch and precision.
#
# Usage: experiments/scripts/gpu_check.sh OUT [FOLDER] [--only PART,PART] [--wheels DIR] [--minutes N] [--emulate]
#   OUT gets summary.txt, gpu.csv, losses.csv and log.txt. The rows of gpu.csv also go to docs/results/gpu.csv.
#   FOLDER holds images and the roidb of them, train.pkl; without it scenes are made. docs/gpu.md says how to pack one.
#   --only     machine, build, kernels, nms, scenes, losses, toy, ssh, speed; machine and build always run
#   --wheels   folder of packages that are missing on a machine without a network; docs/gpu.md names them
#   --minutes  of all parts together (default 9.5); each part also has its own limit
#   --emulate  without a card: emulated kernels, JAX on the processor, few steps; GPU_CHECK_EMULATE=1 does the same.
#              Its rows are marked, and are not written to docs/results
# Exit code 1 when a part failed, timed out or could not run, 2 when an argument is wrong. KERAS_BACKEND (default jax)
# is what trains. PYTHON is the interpreter (default .venv/bin/python, or python3).
set -euo pipefail
case ${1:--h} in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
root=$(cd "$(dirname "$0")/../.." && pwd)
PYTHON=${PYTHON:-$([ -x "$root/.venv/bin/python" ] && echo "$root/.venv/bin/python" || echo python3)}
exec "$PYTHON" "$root/experiments/scripts/gpu_check.py" "$@"

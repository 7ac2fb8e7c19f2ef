#!/usr/bin/env bash
# Trains a config on several hosts, all of them started from here, and again when one is lost (docs/several-hosts.md).
#
# Usage: experiments/scripts/train_hosts.sh HOSTS [RETRIES] --cfg NAME [more options of tools/train.py]
#   HOSTS    a,b or gpu[01-04]; a host with two GPUs is named twice: a,a,b,b. Other hosts are reached by ssh, without a
#            password, and have this folder at the same path, with its environment and the data
#   RETRIES  how often all of them are started again, from the last checkpoint, when one is lost (default: 3)
#
# Example: experiments/scripts/train_hosts.sh a,b 3 --cfg ssh_mobilenet_v1_025
#          experiments/scripts/train_hosts.sh localhost,localhost 0 --cfg toy_ssh
set -euo pipefail
case ${1:-} in -h | --help | "") sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit ;; esac
cd "$(dirname "$0")/../.."
HOSTS=$1
RETRIES=3
shift
case ${1:-} in [0-9]*) RETRIES=$1; shift ;; esac
exec "${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}" tools/train.py \
    --hosts "$HOSTS" --launch --retries "$RETRIES" "$@"

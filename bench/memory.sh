#!/usr/bin/env bash
# Time cold starts with as much processor as Lambda gives at a memory size: one vCPU at 1,769 MB, in proportion below
# and above. Takes root and control groups of version 1; prints what bench/cold_start.py does.
#
# Example: bench/memory.sh build/torch/kim_cnn.zip build/onnx/kim_cnn.zip

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-.venv/bin/python}
for megabytes in 512 1024 1769 3538; do
    group=/sys/fs/cgroup/cpu/serverless-inference-$megabytes
    mkdir -p "$group"
    echo 100000 >"$group/cpu.cfs_period_us"
    echo $((megabytes * 100000 / 1769)) >"$group/cpu.cfs_quota_us"
    echo "as at $megabytes MB"
    (
        echo "$BASHPID" >"$group/tasks"
        exec "$python" bench/cold_start.py "$@" --rounds 3
    )
    rmdir "$group"
done

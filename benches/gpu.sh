#!/usr/bin/env bash
# The tests and the benches that need a CUDA GPU, for machines that have one: the parity suite on CUDA, the kernels of
# the ops, and the registry against burn by hand. Says what is missing where there is no GPU.
#
#   benches/gpu.sh [DIRECTORY]     DIRECTORY holds the two programs built elsewhere, named `parity` and `decode`;
#                                  without it cargo builds them here, with the feature `cuda`.
#
# Prints the machine, then one line a figure. Exit code: 0 if all of it passes, 1 if a test fails, 2 if nothing can run.
set -euo pipefail
cd "$(dirname "$0")/.."

missing() {
    echo "gpu.sh: $*" >&2
    exit 2
}

command -v nvidia-smi >/dev/null ||
    missing "there is no nvidia-smi: this machine has no NVIDIA driver, so there is nothing to test here"
gpu=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>&1) ||
    missing "the NVIDIA driver does not answer: $gpu"
[ -n "$gpu" ] || missing "the NVIDIA driver knows no GPU"
libraries=$(ldconfig -p 2>/dev/null || true)
grep -q 'libcuda\.so' <<<"$libraries" || missing "libcuda.so is not installed; it comes with the driver"
nvrtc=$(compgen -G '/usr/local/cuda*/lib64/libnvrtc.so*' || true)
if ! grep -q 'libnvrtc\.so' <<<"$libraries" && [ -z "$nvrtc" ]; then
    missing "libnvrtc.so is not installed: the kernels are compiled at run time (the CUDA toolkit has it, as has the" \
        "Python package nvidia-cuda-nvrtc-cu12; put its folder into LD_LIBRARY_PATH and run ldconfig)"
fi

echo "machine: $(uname -m), $(nproc) cores"
echo "gpu: $gpu"

if [ $# -gt 0 ]; then
    parity=("$1/parity") decode=("$1/decode" --bench)
    [ -x "$1/parity" ] && [ -x "$1/decode" ] || missing "$1 holds no programs named parity and decode"
else
    command -v cargo >/dev/null || missing "there is no cargo, and no folder of built programs was named"
    parity=(cargo test --release --locked --test parity --)
    decode=(cargo bench --locked --bench decode --)
fi

status=0
# The numbers of one kernel must not depend on what another test runs beside it.
OMNI_PARITY_DEVICE=cuda "${parity[@]}" --test-threads=1 || status=1
OMNI_BENCH_DEVICE=cuda "${decode[@]}" || status=1
OMNI_BENCH_DEVICE=cpu "${decode[@]}" || status=1
exit $status

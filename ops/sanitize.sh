#!/usr/bin/env bash
# Runs the CPU operators' tests under AddressSanitizer and UndefinedBehaviorSanitizer.
# PYTHON says which python (with torch, pytest and ninja); arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}

runtime() { realpath "$("${CXX:-c++}" -print-file-name="$1")"; }

# The interpreter is not built with the sanitizers, so their runtimes come first; its own
# allocations are not checked for leaks. Too large allocations are for torch to refuse.
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
export LD_PRELOAD="$(runtime libasan.so) $(runtime libubsan.so) $(runtime libstdc++.so)"
export PYTHONPATH="$PWD/ops:$PWD"
SAPA_OPS_LIBRARY=$("$PYTHON" ops/sapa_ops/build.py --sanitize | tail -n 1)
export SAPA_OPS_LIBRARY
if [ $# -eq 0 ]; then set -- tests/ops; fi
"$PYTHON" -m pytest -q -p no:cacheprovider -k 'not memory and not gpu_threads and not cuda_sources' "$@"

#!/usr/bin/env bash
# On a machine with a GPU: builds the operators just in time, runs their tests on the GPU against the
# oracle, and the benchmark into the folder that is given (benchmarks/gpu). Needs torch with CUDA,
# its nvcc, numpy, ninja and pytest; installs nothing. PYTHON says which python.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
OUT=${1:-benchmarks/gpu}

"$PYTHON" -c 'import torch; assert torch.cuda.is_available(), "torch sees no GPU"'
export PYTHONPATH="$PWD/ops:$PWD"
SAPA_OPS_LIBRARY=$(SAPA_OPS_BUILD=cuda "$PYTHON" ops/sapa_ops/build.py | tail -n 1)
export SAPA_OPS_LIBRARY
"$PYTHON" -m pytest -q -p no:cacheprovider tests/ops
"$PYTHON" tools/benchmark.py --device cuda --sizes 120 60 240 --dtypes float32 float16 bfloat16 \
    --forms compiled eager --out "$OUT"

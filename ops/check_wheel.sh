#!/usr/bin/env bash
# Installs a wheel where no compiler is found, and runs the operators' quick tests on it:
#
#     PYTHON=some/environment/bin/python ops/check_wheel.sh dist/sapa_ops-*.whl
#
# PYTHON has torch, numpy, pytest and hypothesis, and is left as it is. More arguments go to pytest.
set -euo pipefail
wheel=$(realpath "$1") && shift
PYTHON=$("${PYTHON:-python3}" -c 'import sys; print(sys.executable)')
root=$(realpath "$(dirname "$0")/..")

# The tests stand alone, so that they import the wheel's package and not the checkout's.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/ops"
cp -r "$root/tests" "$root/setup.cfg" "$scratch"
cp "$root/ops/README.md" "$scratch/ops"
cd "$scratch"
unset CXX CUDA_HOME SAPA_OPS_LIBRARY SAPA_OPS_CPU_CAPABILITY
"$PYTHON" -m pip install --quiet --no-deps --target installed "$wheel"
export PYTHONPATH=$PWD/installed PYTHONDONTWRITEBYTECODE=1
run() { PATH=/nonexistent "$PYTHON" "$@"; }
run - <<'END'
import sys, torch, sapa_ops

report = sapa_ops.backend_for(torch.empty(1))
print(f'Python {sys.version.split()[0]}, torch {torch.__version__}: {sapa_ops.__file__}, {report}')
sys.exit(report.name != 'compiled')
END
run -m pytest -q -p no:cacheprovider -m 'not extended' tests/ops "$@"

#!/usr/bin/env bash
# Makes a wheel that was built on Linux fit for other machines:
#
#     SAPA_OPS_BUILD=cpu pip wheel --no-deps --no-build-isolation --wheel-dir WHEELS ./ops
#     ops/repair_wheel.sh WHEELS/sapa_ops-*.whl dist
#
# Refuses it unless its library needs nothing but symbols of the system and of torch's stable ABI;
# then gives it the tag of the oldest glibc that will do. Needs python, nm, auditwheel, patchelf
# and torch-abi-audit.
set -euo pipefail
wheel=$1 folder=$2

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python -m zipfile -e "$wheel" "$scratch"
library=$scratch/sapa_ops/_kernels.abi3.so
# Demangled, as a mangled name hides its namespace. Those of the system have a version (@), but for
# those of std:: that torch's library has, too. Weak ones (w) may stay undefined.
system=(-e @ -e ' U std::' -e '^ *w ')
if nm -DCu "$library" | grep -v "${system[@]}" -e ' aoti_torch_[a-z0-9_]*$' -e ' torch_[a-z0-9_]*$'; then
    echo "$wheel: outside of torch's stable ABI, see above" >&2
    exit 1
fi
torch-abi-audit --check both --verbose "$library"
# Torch itself comes from the user's environment.
auditwheel repair --strip --exclude 'libtorch*' --exclude 'libc10*' --wheel-dir "$folder" "$wheel"

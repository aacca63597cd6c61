// The CPU kernels on torch's thread pool, and what the library says of itself.
#include <limits>

#include "../cpu/kernels.h"
#include "operators.h"

namespace sapa {
namespace {

void run_in_pool(int64_t size, void (*body)(void*, int64_t, int64_t), void* context) {
  torch::stable::parallel_for(0, size, 1,
                              [&](int64_t begin, int64_t end) { body(context, begin, end); });
}

Parallel pool() { return {run_in_pool, static_cast<int>(torch::stable::get_num_threads())}; }

// The kernels count the elements of a low-res map with integers as long as a number.
const PointArguments& countable(const PointArguments& a) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  const int64_t elements = a.y.low * a.x.low * a.channels;
  check(elements <= kMost || a.low.dtype == Dtype::kFloat64, "a group of the low-res map has ",
        elements, " elements, more than ", kMost);
  return a;
}

struct Cpu {
  static void window_similarity(const WindowArguments& a, const Tensor&) {
    cpu_kernels().window_similarity(a, pool());
  }
  static void window_assemble(const WindowArguments& a, const Tensor&) {
    cpu_kernels().window_assemble(a, pool());
  }
  static void window_adjoint(const WindowArguments& a, const Tensor&) {
    cpu_kernels().window_adjoint(a, pool());
  }
  static void point_similarity(const PointArguments& a, const Tensor&) {
    cpu_kernels().point_similarity(countable(a), pool());
  }
  static void point_assemble(const PointArguments& a, const Tensor&) {
    cpu_kernels().point_assemble(countable(a), pool());
  }
  static void point_adjoint(const PointArguments& a, const Tensor&) {
    cpu_kernels().point_adjoint(countable(a), pool());
  }
  static void point_gradients(const PointArguments& a, const Tensor&) {
    cpu_kernels().point_gradients(countable(a), pool());
  }
};

// Raised when results or schemas change; sapa_ops/compiled.py has the same number.
int64_t revision() { return 4; }

// The instruction set that runs: baseline, avx2 or avx512.
std::string cpu_capability() { return cpu_kernels().capability; }

}  // namespace
}  // namespace sapa

STABLE_TORCH_LIBRARY_IMPL(sapa_ops_compiled, CPU, m) { sapa::Operators<sapa::Cpu>::implement(m); }

STABLE_TORCH_LIBRARY_FRAGMENT(sapa_ops_compiled, m) {
  m.def("revision() -> int");
  m.def("cpu_capability() -> str");
}

STABLE_TORCH_LIBRARY_IMPL(sapa_ops_compiled, CompositeExplicitAutograd, m) {
  m.impl("revision", TORCH_BOX(&sapa::revision));
  m.impl("cpu_capability", TORCH_BOX(&sapa::cpu_capability));
}

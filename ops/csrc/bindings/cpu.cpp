// The CPU kernels on torch's thread pool.
#include <ATen/Parallel.h>
#include <torch/library.h>

#include "../cpu/kernels.h"
#include "operators.h"

namespace sapa {
namespace {

void run_in_pool(int64_t size, void (*body)(void*, int64_t, int64_t), void* context) {
  at::parallel_for(0, size, 1,
                   [&](int64_t begin, int64_t end) { body(context, begin, end); });
}

Parallel pool() { return {run_in_pool, at::get_num_threads()}; }

struct Cpu {
  static void window_similarity(const WindowArguments& a, const at::Tensor&) {
    cpu_kernels().window_similarity(a, pool());
  }
  static void window_assemble(const WindowArguments& a, const at::Tensor&) {
    cpu_kernels().window_assemble(a, pool());
  }
  static void window_adjoint(const WindowArguments& a, const at::Tensor&) {
    cpu_kernels().window_adjoint(a, pool());
  }
  static void point_similarity(const PointArguments& a, const at::Tensor&) {
    cpu_kernels().point_similarity(a, pool());
  }
  static void point_gradients(const PointArguments& a, const at::Tensor&) {
    cpu_kernels().point_gradients(a, pool());
  }
  static void point_assemble(const PointArguments& a, const at::Tensor&) {
    cpu_kernels().point_assemble(a, pool());
  }
  static void point_adjoint(const PointArguments& a, const at::Tensor&) {
    cpu_kernels().point_adjoint(a, pool());
  }
};

}  // namespace
}  // namespace sapa

TORCH_LIBRARY_IMPL(sapa_ops, CPU, m) { sapa::Operators<sapa::Cpu>::define(m); }

// The instruction set that runs: baseline, avx2 or avx512.
TORCH_LIBRARY_FRAGMENT(sapa_ops, m) {
  m.def("cpu_capability() -> str", []() -> std::string { return sapa::cpu_kernels().capability; });
}

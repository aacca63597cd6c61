// The CPU kernels on torch's thread pool.
#include <ATen/Parallel.h>
#include <torch/library.h>

#include "../cpu/kernels.h"
#include "operators.h"

namespace sapa {
namespace {

void run_in_pool(int64_t size, void (*body)(void*, int64_t, int64_t), void* context) {
  at::parallel_for(0, size, 1, [&](int64_t begin, int64_t end) { body(context, begin, end); });
}

Parallel pool() { return {run_in_pool, at::get_num_threads()}; }

struct Cpu {
  static void window_similarity_forward(const WindowArguments& a, const at::Tensor&) {
    cpu_kernels().window_similarity_forward(a, pool());
  }
  static void window_assemble_forward(const WindowArguments& a, const at::Tensor&) {
    cpu_kernels().window_assemble_forward(a, pool());
  }
  static void window_assemble_backward_value(const WindowArguments& a, const at::Tensor&) {
    cpu_kernels().window_assemble_backward_value(a, pool());
  }
  static void point_similarity_forward(const PointArguments& a, const at::Tensor&) {
    cpu_kernels().point_similarity_forward(a, pool());
  }
  static void point_assemble_backward_weight_offset(const PointArguments& a, const at::Tensor&) {
    cpu_kernels().point_assemble_backward_weight_offset(a, pool());
  }
  static void point_assemble_forward(const PointArguments& a, const at::Tensor&) {
    cpu_kernels().point_assemble_forward(a, pool());
  }
  static void point_assemble_backward_value(const PointArguments& a, const at::Tensor&) {
    cpu_kernels().point_assemble_backward_value(a, pool());
  }
};

}  // namespace
}  // namespace sapa

TORCH_LIBRARY_IMPL(sapa_ops, CPU, m) { sapa::Operators<sapa::Cpu>::define(m); }

// The instruction set that runs: baseline, avx2 or avx512.
TORCH_LIBRARY_FRAGMENT(sapa_ops, m) {
  m.def("cpu_capability() -> str", []() -> std::string { return sapa::cpu_kernels().capability; });
}

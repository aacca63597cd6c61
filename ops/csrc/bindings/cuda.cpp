// The CUDA kernels on torch's current stream.
#include <ATen/Context.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include "../cuda/kernels.h"
#include "operators.h"

namespace sapa {
namespace {

template <class Arguments>
void launch(cudaError_t (*kernel)(const Arguments&, cudaStream_t), const Arguments& a,
            const at::Tensor& like) {
  const c10::cuda::CUDAGuard device(like.device());
  C10_CUDA_CHECK(kernel(a, c10::cuda::getCurrentCUDAStream()));
}

struct Cuda {
  static void window_similarity_forward(const WindowArguments& a, const at::Tensor& like) {
    launch(cuda::window_similarity_forward, a, like);
  }
  static void window_assemble_forward(const WindowArguments& a, const at::Tensor& like) {
    launch(cuda::window_assemble_forward, a, like);
  }
  static void window_assemble_backward_value(const WindowArguments& a, const at::Tensor& like) {
    launch(cuda::window_assemble_backward_value, a, like);
  }
  static void point_similarity_forward(const PointArguments& a, const at::Tensor& like) {
    launch(cuda::point_similarity_forward, a, like);
  }
  static void point_assemble_backward_weight_offset(const PointArguments& a,
                                                    const at::Tensor& like) {
    launch(cuda::point_assemble_backward_weight_offset, a, like);
  }
  static void point_assemble_forward(const PointArguments& a, const at::Tensor& like) {
    launch(cuda::point_assemble_forward, a, like);
  }
  static void point_assemble_backward_value(PointArguments a, const at::Tensor& low) {
    // Threads add to the same pixels in no fixed order.
    at::globalContext().alertNotDeterministic("sapa_ops::point_assemble_backward_value on CUDA");
    const bool is_double = low.scalar_type() == at::kDouble;
    const auto type = is_double ? at::kDouble : at::kFloat;
    const bool in_place = low.scalar_type() == type;
    auto sum = in_place ? low : at::empty_like(low, low.options().dtype(type));
    sum.zero_();
    a.low = map_of(sum, a.groups);
    launch(cuda::point_assemble_backward_value, a, low);
    if (!in_place) low.copy_(sum);
  }
};

}  // namespace
}  // namespace sapa

TORCH_LIBRARY_IMPL(sapa_ops, CUDA, m) { sapa::Operators<sapa::Cuda>::define(m); }

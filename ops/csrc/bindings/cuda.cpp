// The CUDA kernels on torch's current stream.
#include <cuda_runtime_api.h>
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/macros.h>

#include "../cuda/kernels.h"
#include "operators.h"

namespace sapa {
namespace {

template <class Arguments>
void launch(cudaError_t (*kernel)(const Arguments&, cudaStream_t), const Arguments& a,
            const Tensor& like) {
  const int32_t index = like.get_device_index();
  const torch::stable::accelerator::DeviceGuard device(index);
  void* stream;
  TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(index, &stream));
  STD_CUDA_CHECK(kernel(a, static_cast<cudaStream_t>(stream)));
}

struct Cuda {
  static void window_similarity(const WindowArguments& a, const Tensor& weight) {
    similarity(cuda::window_similarity, a, weight);
  }
  static void window_assemble(const WindowArguments& a, const Tensor& like) {
    launch(cuda::window_assemble, a, like);
  }
  static void window_adjoint(const WindowArguments& a, const Tensor& like) {
    launch(cuda::window_adjoint, a, like);
  }
  static void point_similarity(const PointArguments& a, const Tensor& weight) {
    similarity(cuda::point_similarity, a, weight);
  }
  static void point_assemble(const PointArguments& a, const Tensor& like) {
    launch(cuda::point_assemble, a, like);
  }
  static void point_adjoint(const PointArguments& a, const Tensor& low) {
    add_up(a, low, [&](const PointArguments& sum) { launch(cuda::point_adjoint, sum, low); });
  }
  static void point_gradients(const PointArguments& a, const Tensor& like) {
    launch(cuda::point_gradients, a, like);
  }

 private:
  template <class Arguments>
  static void similarity(cudaError_t (*kernel)(const Arguments&, cudaStream_t), const Arguments& a,
                         const Tensor& weight) {
    normalize(
        a, weight, [&](const Arguments& scores) { launch(kernel, scores, weight); },
        [&](const SoftmaxArguments& s) { launch(cuda::softmax, s, weight); });
  }
};

}  // namespace
}  // namespace sapa

STABLE_TORCH_LIBRARY_IMPL(sapa_ops_compiled, CUDA, m) { sapa::Operators<sapa::Cuda>::implement(m); }

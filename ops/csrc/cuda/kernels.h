// The CUDA kernels, named like the CPU's (cpu/kernels.h). Asynchronous on the stream; no torch.
#pragma once

#include <cuda_runtime_api.h>

#include "../common/arguments.h"

namespace sapa {
namespace cuda {

// Similarity does not heed a.softmax; a.weight may be of the accumulator's type, for softmax.
cudaError_t window_similarity(const WindowArguments& a, cudaStream_t stream);
cudaError_t window_assemble(const WindowArguments& a, cudaStream_t stream);
cudaError_t window_adjoint(const WindowArguments& a, cudaStream_t stream);
cudaError_t point_similarity(const PointArguments& a, cudaStream_t stream);
cudaError_t point_gradients(const PointArguments& a, cudaStream_t stream);
cudaError_t point_assemble(const PointArguments& a, cudaStream_t stream);
// Adds to a.low, which is float (double for float64) and must start at 0.
cudaError_t point_adjoint(const PointArguments& a, cudaStream_t stream);
cudaError_t softmax(const SoftmaxArguments& a, cudaStream_t stream);

}  // namespace cuda
}  // namespace sapa

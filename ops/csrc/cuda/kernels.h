// The CUDA kernels, named like the CPU's (cpu/kernels.h). Asynchronous on the stream; no torch.
#pragma once

#include <cuda_runtime_api.h>

#include "../common/arguments.h"

namespace sapa {
namespace cuda {

cudaError_t window_similarity_forward(const WindowArguments& a, cudaStream_t stream);
cudaError_t window_assemble_forward(const WindowArguments& a, cudaStream_t stream);
cudaError_t window_assemble_backward_value(const WindowArguments& a, cudaStream_t stream);
cudaError_t point_similarity_forward(const PointArguments& a, cudaStream_t stream);
cudaError_t point_assemble_backward_weight_offset(const PointArguments& a, cudaStream_t stream);
cudaError_t point_assemble_forward(const PointArguments& a, cudaStream_t stream);
// Adds to a.low, which is float (double for float64) and must start at 0.
cudaError_t point_assemble_backward_value(const PointArguments& a, cudaStream_t stream);

}  // namespace cuda
}  // namespace sapa

#include "launch.h"
#include "point_tasks.h"

namespace sapa {
namespace cuda {

cudaError_t point_similarity_forward(const PointArguments& a, cudaStream_t stream) {
  return with_storage(a.high.dtype, [&](auto t) {
    return PointTasks<decltype(t)>::similarity_forward(a, Launcher(stream));
  });
}

cudaError_t point_assemble_backward_weight_offset(const PointArguments& a, cudaStream_t stream) {
  return with_storage(a.high.dtype, [&](auto t) {
    return PointTasks<decltype(t)>::assemble_backward_weight_offset(a, Launcher(stream));
  });
}

cudaError_t point_assemble_forward(const PointArguments& a, cudaStream_t stream) {
  return with_storage(a.high.dtype, [&](auto t) {
    return PointTasks<decltype(t)>::assemble_forward(a, Launcher(stream));
  });
}

cudaError_t point_assemble_backward_value(const PointArguments& a, cudaStream_t stream) {
  return with_storage(a.high.dtype, [&](auto t) {
    return PointTasks<decltype(t)>::assemble_backward_value(a, Launcher(stream));
  });
}

}  // namespace cuda
}  // namespace sapa

#include "launch.h"
#include "point_tasks.h"

namespace sapa {
namespace cuda {

cudaError_t point_similarity(const PointArguments& a, cudaStream_t stream) {
  return with_storage(a.high.dtype, [&](auto t) {
    return PointTasks<decltype(t)>::similarity(a, Launcher(stream));
  });
}

cudaError_t point_gradients(const PointArguments& a, cudaStream_t stream) {
  return with_storage(a.high.dtype, [&](auto t) {
    return PointTasks<decltype(t)>::gradients(a, Launcher(stream));
  });
}

cudaError_t point_assemble(const PointArguments& a, cudaStream_t stream) {
  return with_storage(
      a.high.dtype, [&](auto t) { return PointTasks<decltype(t)>::assemble(a, Launcher(stream)); });
}

cudaError_t point_adjoint(const PointArguments& a, cudaStream_t stream) {
  return with_storage(
      a.high.dtype, [&](auto t) { return PointTasks<decltype(t)>::adjoint(a, Launcher(stream)); });
}

}  // namespace cuda
}  // namespace sapa

#include "launch.h"
#include "window_tasks.h"

namespace sapa {
namespace cuda {

cudaError_t window_similarity(const WindowArguments& a, cudaStream_t stream) {
  return with_storage(a.low.dtype, [&](auto t) {
    return WindowTasks<decltype(t)>::similarity(a, Launcher(stream));
  });
}

cudaError_t window_assemble(const WindowArguments& a, cudaStream_t stream) {
  return with_storage(
      a.low.dtype, [&](auto t) { return WindowTasks<decltype(t)>::assemble(a, Launcher(stream)); });
}

cudaError_t window_adjoint(const WindowArguments& a, cudaStream_t stream) {
  return with_storage(
      a.low.dtype, [&](auto t) { return WindowTasks<decltype(t)>::adjoint(a, Launcher(stream)); });
}

}  // namespace cuda
}  // namespace sapa

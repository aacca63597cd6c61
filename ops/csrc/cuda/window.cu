#include "launch.h"
#include "window_tasks.h"

namespace sapa {
namespace cuda {

cudaError_t window_similarity_forward(const WindowArguments& a, cudaStream_t stream) {
  return with_storage(a.low.dtype, [&](auto t) {
    return WindowTasks<decltype(t)>::similarity_forward(a, Launcher(stream));
  });
}

cudaError_t window_assemble_forward(const WindowArguments& a, cudaStream_t stream) {
  return with_storage(a.low.dtype, [&](auto t) {
    return WindowTasks<decltype(t)>::assemble_forward(a, Launcher(stream));
  });
}

cudaError_t window_assemble_backward_value(const WindowArguments& a, cudaStream_t stream) {
  return with_storage(a.low.dtype, [&](auto t) {
    return WindowTasks<decltype(t)>::assemble_backward_value(a, Launcher(stream));
  });
}

}  // namespace cuda
}  // namespace sapa

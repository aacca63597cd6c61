#include "launch.h"
#include "softmax_tasks.h"

namespace sapa {
namespace cuda {

cudaError_t softmax(const SoftmaxArguments& a, cudaStream_t stream) {
  return with_storage(a.weight.dtype, [&](auto t) {
    return SoftmaxTasks<decltype(t)>::softmax(a, Launcher(stream));
  });
}

}  // namespace cuda
}  // namespace sapa

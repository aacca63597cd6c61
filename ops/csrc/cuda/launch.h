// Launches tasks, with one thread for each item or with several that add up their partial sums.
#pragma once

#include <cuda_runtime.h>

#include "kernels.h"

namespace sapa {
namespace cuda {

constexpr int kBlock = 256;

template <class Task>
__global__ void __launch_bounds__(kBlock) run(Task task, int64_t threads) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kBlock;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x; i < threads;
       i += step) {
    task(i);
  }
}

template <class Task>
__global__ void __launch_bounds__(kBlock) run_shared(Task task, int64_t items) {
  constexpr int THREADS = Task::kThreads;
  constexpr int64_t PER_BLOCK = kBlock / THREADS;
  const int thread = threadIdx.x % THREADS;
  // The threads of one item, neighbours in a warp.
  const unsigned mask = (THREADS == 32 ? ~0u : (1u << THREADS) - 1)
                        << (threadIdx.x % 32 / THREADS * THREADS);
  const int64_t step = gridDim.x * PER_BLOCK;
  for (int64_t i = blockIdx.x * PER_BLOCK + threadIdx.x / THREADS; i < items; i += step) {
    task(i, thread, [&](auto& value) {
      SAPA_UNROLL
      for (int other = THREADS / 2; other > 0; other /= 2) {
        value += __shfl_xor_sync(mask, value, other);
      }
      return thread == 0;
    });
  }
}

class Launcher {
 public:
  explicit Launcher(cudaStream_t stream) : stream_(stream) {}

  template <class Task>
  cudaError_t operator()(const Task& task) const {
    const int64_t threads = task.threads();
    run<<<blocks(threads, kBlock), kBlock, 0, stream_>>>(task, threads);
    return cudaGetLastError();
  }

  template <class Task>
  cudaError_t shared(const Task& task) const {
    const int64_t items = task.items();
    run_shared<<<blocks(items, kBlock / Task::kThreads), kBlock, 0, stream_>>>(task, items);
    return cudaGetLastError();
  }

 private:
  static unsigned blocks(int64_t items, int64_t per_block) {
    const int64_t needed = (items + per_block - 1) / per_block;
    return static_cast<unsigned>(smaller<int64_t>(needed, 0x7fffffff));
  }

  cudaStream_t stream_;
};

// Calls body(T{}) with the storage type.
template <class Body>
cudaError_t with_storage(Dtype dtype, const Body& body) {
  switch (dtype) {
    case Dtype::kFloat64: return body(double{});
    case Dtype::kFloat32: return body(float{});
    case Dtype::kFloat16: return body(Half{});
    case Dtype::kBFloat16: return body(BFloat16{});
  }
  return cudaErrorInvalidValue;
}

}  // namespace cuda
}  // namespace sapa

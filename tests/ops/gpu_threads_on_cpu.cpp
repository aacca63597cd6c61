// What the GPU's threads do, run one after another on the CPU, as torch.ops.sapa_ops_threads.
#include <vector>

#include "bindings/operators.h"
#include "bindings/schemas.h"
#include "cuda/point_tasks.h"
#include "cuda/window_tasks.h"

namespace sapa {
namespace {

struct Launcher {
  template <class Task>
  int operator()(const Task& task) const {
    for (int64_t i = 0; i < task.threads(); ++i) task(i);
    return 0;
  }

  // Threads that add up what they have: each in turn leaves its numbers, the last finds the totals.
  template <class Task>
  int shared(const Task& task) const {
    for (int64_t i = 0; i < task.items(); ++i) {
      std::vector<double> totals;
      for (int thread = 0; thread < Task::kThreads; ++thread) {
        size_t next = 0;
        task(i, thread, [&](auto& value) {
          if (next == totals.size()) totals.push_back(0);
          totals[next] += value;
          value = totals[next++];
          return thread == Task::kThreads - 1;
        });
      }
    }
    return 0;
  }
};

template <class Body>
void with_storage(Dtype dtype, const Body& body) {
  switch (dtype) {
    case Dtype::kFloat64: body(double{}); break;
    case Dtype::kFloat32: body(float{}); break;
    case Dtype::kFloat16: body(Half{}); break;
    case Dtype::kBFloat16: body(BFloat16{}); break;
  }
}

struct Threads {
#define SAPA_KERNEL(NAME, KIND, TASK)                                                   \
  static void NAME(const KIND##Arguments& a, const at::Tensor&) {                       \
    with_storage(a.high.dtype,                                                          \
                 [&](auto t) { cuda::KIND##Tasks<decltype(t)>::TASK(a, Launcher()); }); \
  }
  SAPA_KERNEL(window_similarity_forward, Window, similarity_forward)
  SAPA_KERNEL(window_assemble_forward, Window, assemble_forward)
  SAPA_KERNEL(window_assemble_backward_value, Window, assemble_backward_value)
  SAPA_KERNEL(point_similarity_forward, Point, similarity_forward)
  SAPA_KERNEL(point_assemble_forward, Point, assemble_forward)
  SAPA_KERNEL(point_assemble_backward_weight_offset, Point, assemble_backward_weight_offset)
#undef SAPA_KERNEL

  static void point_assemble_backward_value(PointArguments a, const at::Tensor& low) {
    const auto type = low.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    auto sum = at::zeros_like(low, low.options().dtype(type));
    a.low = map_of(sum, a.groups);
    with_storage(a.high.dtype, [&](auto t) {
      cuda::PointTasks<decltype(t)>::assemble_backward_value(a, Launcher());
    });
    low.copy_(sum);
  }
};

}  // namespace
}  // namespace sapa

TORCH_LIBRARY(sapa_ops_threads, m) { sapa::define_schemas(m); }

TORCH_LIBRARY_IMPL(sapa_ops_threads, CPU, m) { sapa::Operators<sapa::Threads>::define(m); }

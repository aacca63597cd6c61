// What the GPU's threads do, run one after another on the CPU, as torch.ops.sapa_ops_threads.
#include <vector>

#include "bindings/operators.h"
#include "cuda/point_tasks.h"
#include "cuda/softmax_tasks.h"
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
  static void NAME(const KIND##Arguments& a, const Tensor&) {                           \
    with_storage(a.high.dtype,                                                          \
                 [&](auto t) { cuda::KIND##Tasks<decltype(t)>::TASK(a, Launcher()); }); \
  }
  SAPA_KERNEL(window_assemble, Window, assemble)
  SAPA_KERNEL(window_adjoint, Window, adjoint)
  SAPA_KERNEL(point_assemble, Point, assemble)
  SAPA_KERNEL(point_gradients, Point, gradients)
  SAPA_KERNEL(window_scores, Window, similarity)
  SAPA_KERNEL(point_scores, Point, similarity)
  SAPA_KERNEL(point_sums, Point, adjoint)
#undef SAPA_KERNEL

  static void window_similarity(const WindowArguments& a, const Tensor& weight) {
    normalize(a, weight, [&](const WindowArguments& own) { window_scores(own, weight); }, softmax);
  }
  static void point_similarity(const PointArguments& a, const Tensor& weight) {
    normalize(a, weight, [&](const PointArguments& own) { point_scores(own, weight); }, softmax);
  }
  static void softmax(const SoftmaxArguments& a) {
    with_storage(a.weight.dtype,
                 [&](auto t) { cuda::SoftmaxTasks<decltype(t)>::softmax(a, Launcher()); });
  }
  static void point_adjoint(const PointArguments& a, const Tensor& low) {
    add_up(a, low, [&](const PointArguments& own) { point_sums(own, low); });
  }
};

}  // namespace
}  // namespace sapa

STABLE_TORCH_LIBRARY_IMPL(sapa_ops_threads, CPU, m) {
  sapa::Operators<sapa::Threads>::implement(m);
}

// What one GPU thread does for softmax. Plain C++: the tests run it on the CPU too.
#pragma once

#include "../common/softmax.h"
#include "lane.h"

namespace sapa {
namespace cuda {

// One position of one group.
template <class T>
struct Softmax {
  using A = Accumulator<T>;
  SoftmaxArguments a;

  int64_t threads() const { return a.batch * a.groups * a.height * a.width; }

  SAPA_HD void operator()(int64_t index) const {
    const Position p(index, false, a.groups, 1, a.height, a.width);
    const int64_t scores = a.scores.offset(p.n, p.g, 0, p.y, p.x);
    const int64_t weight = a.weight.offset(p.n, p.g, 0, p.y, p.x);
    sapa::softmax<A, A, typename Binary<A>::Bits>(
        a.channels,
        [&](int64_t c) { return load_one<A>(a.scores, scores + c * a.scores.stride_c); },
        [&](int64_t c, A term) { store_one<A>(a.scores, scores + c * a.scores.stride_c, term); },
        [&](int64_t c, A share) { store_one<T>(a.weight, weight + c * a.weight.stride_c, share); });
  }
};

template <class T>
struct SoftmaxTasks {
  template <class Launch>
  static auto softmax(const SoftmaxArguments& a, const Launch& launch) {
    return launch(Softmax<T>{a});
  }
};

}  // namespace cuda
}  // namespace sapa

// The thread pool that the caller provides: torch's, in sapa_ops.
#pragma once

#include <cstdint>

namespace sapa {

struct Parallel {
  // Calls body(context, first, last) for pieces of [0, size), side by side.
  void (*run)(int64_t size, void (*body)(void*, int64_t, int64_t), void* context);
  int threads;

  template <class Body>
  void for_each(int64_t size, const Body& body) const {
    auto call = [](void* context, int64_t first, int64_t last) {
      (*static_cast<const Body*>(context))(first, last);
    };
    run(size, call, const_cast<Body*>(&body));
  }
};

}  // namespace sapa

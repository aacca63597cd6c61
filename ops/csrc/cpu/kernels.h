// The CPU kernels, a set for each instruction set, named like the operators; no torch.
#pragma once

#include "../common/arguments.h"

namespace sapa {

// The thread pool that the caller provides: torch's, in sapa_ops.
struct Parallel {
  // Calls body(context, first, last) for pieces of [0, size), in parallel.
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

struct CpuKernels {
  const char* capability;
  void (*window_similarity)(const WindowArguments&, const Parallel&);
  void (*window_assemble)(const WindowArguments&, const Parallel&);
  void (*window_adjoint)(const WindowArguments&, const Parallel&);
  void (*point_similarity)(const PointArguments&, const Parallel&);
  void (*point_gradients)(const PointArguments&, const Parallel&);
  void (*point_assemble)(const PointArguments&, const Parallel&);
  void (*point_adjoint)(const PointArguments&, const Parallel&);
};

namespace baseline {
extern const CpuKernels kKernels;
}
#if defined(__x86_64__)
namespace avx2 {
extern const CpuKernels kKernels;
}
namespace avx512 {
extern const CpuKernels kKernels;
}
#endif

// The best set for this machine; SAPA_OPS_CPU_CAPABILITY=baseline or avx2 asks for a lower one.
const CpuKernels& cpu_kernels();

}  // namespace sapa

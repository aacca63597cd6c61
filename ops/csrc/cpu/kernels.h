// The CPU kernels, one set for each instruction set; no torch.
#pragma once

#include "../common/arguments.h"
#include "parallel.h"

namespace sapa {

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

// The best set for this machine; SAPA_OPS_CPU_CAPABILITY=baseline|avx2|avx512 asks for a lower one.
const CpuKernels& cpu_kernels();

}  // namespace sapa

// Which set of CPU kernels this machine runs.
#include <cstdlib>
#include <cstring>

#include "kernels.h"

namespace sapa {

static const CpuKernels& choose() {
#if defined(__x86_64__)
  const char* asked = std::getenv("SAPA_OPS_CPU_CAPABILITY");
  const bool baseline_asked = asked != nullptr && std::strcmp(asked, "baseline") == 0;
  const bool avx2_asked = asked != nullptr && std::strcmp(asked, "avx2") == 0;
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (avx2 && avx512 && !baseline_asked && !avx2_asked) return avx512::kKernels;
  if (avx2 && !baseline_asked) return avx2::kKernels;
#endif
  return baseline::kKernels;
}

const CpuKernels& cpu_kernels() {
  static const CpuKernels& kernels = choose();
  return kernels;
}

}  // namespace sapa

#if defined(__x86_64__)
#define SAPA_CPU_CAPABILITY avx512
#define SAPA_CPU_VECTOR_BYTES 64
// In force to the end of the file: templates are instantiated there.
#if defined(__clang__)
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#endif
#include "kernels_impl.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif

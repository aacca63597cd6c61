#define SAPA_CPU_CAPABILITY baseline
#define SAPA_CPU_VECTOR_BYTES 16
#include "kernels_impl.h"

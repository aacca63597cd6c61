// The set of kernels for one instruction set: SAPA_CPU_CAPABILITY, with vectors of
// SAPA_CPU_VECTOR_BYTES.
#include "kernels.h"
#include "point.h"
#include "window.h"

namespace sapa {
namespace SAPA_CPU_CAPABILITY {

#define SAPA_STRING(x) #x
#define SAPA_NAME(x) SAPA_STRING(x)

template <class Arguments, void (*FLOAT)(const Arguments&, const Parallel&),
          void (*DOUBLE)(const Arguments&, const Parallel&)>
void by_dtype(const Arguments& a, const Parallel& parallel) {
  (a.low.dtype == Dtype::kFloat64 ? DOUBLE : FLOAT)(a, parallel);
}

template <auto FLOAT, auto DOUBLE>
constexpr auto kWindow = by_dtype<WindowArguments, FLOAT, DOUBLE>;
template <auto FLOAT, auto DOUBLE>
constexpr auto kPoint = by_dtype<PointArguments, FLOAT, DOUBLE>;

using WindowF = WindowKernels<float>;
using WindowD = WindowKernels<double>;
using PointF = PointKernels<float>;
using PointD = PointKernels<double>;

extern const CpuKernels kKernels = {
    SAPA_NAME(SAPA_CPU_CAPABILITY),
    kWindow<WindowF::similarity, WindowD::similarity>,
    kWindow<WindowF::assemble, WindowD::assemble>,
    kWindow<WindowF::adjoint, WindowD::adjoint>,
    kPoint<PointF::similarity, PointD::similarity>,
    kPoint<PointF::gradients, PointD::gradients>,
    kPoint<PointF::assemble, PointD::assemble>,
    kPoint<PointF::adjoint, PointD::adjoint>,
};

}  // namespace SAPA_CPU_CAPABILITY
}  // namespace sapa

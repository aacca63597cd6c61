// What torch.ops.sapa_ops offers.
#include "schemas.h"

TORCH_LIBRARY(sapa_ops, m) {
  sapa::define_schemas(m);
  // Raised when results change; sapa_ops/compiled.py has the same number.
  m.def("revision() -> int", []() -> int64_t { return 2; });
}

// What torch.ops.sapa_ops offers.
#include "schemas.h"

TORCH_LIBRARY(sapa_ops, m) { sapa::define_schemas(m); }

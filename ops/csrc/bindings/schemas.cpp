// What torch.ops.sapa_ops offers. Shapes as in arguments.h: weight (N, G*K*K, H, W) or
// (N, G, S, H, W), low and key and value (N, G*C, h, w), high and query (N, G*C, H, W), offset
// (N, G*S*2, H, W). The adjoints return the gradient of assembly by value.
#include <torch/library.h>

TORCH_LIBRARY(sapa_ops, m) {
  m.def("window_similarity(Tensor query, Tensor key, int kernel_size, int groups=1) -> Tensor");
  m.def("window_assemble(Tensor weight, Tensor value, int kernel_size, int groups=1) -> Tensor");
  m.def(
      "window_adjoint(Tensor weight, Tensor high, SymInt height, SymInt width, int kernel_size, "
      "int groups=1) -> Tensor");
  m.def("point_similarity(Tensor query, Tensor key, Tensor offset, int groups) -> Tensor");
  m.def("point_assemble(Tensor weight, Tensor value, Tensor offset) -> Tensor");
  m.def(
      "point_adjoint(Tensor weight, Tensor high, Tensor offset, SymInt height, SymInt width) "
      "-> Tensor");
  // The gradients by weight and by offset.
  m.def("point_gradients(Tensor weight, Tensor high, Tensor low, Tensor offset) "
        "-> (Tensor, Tensor)");
}

// Under autocast, assembly runs in the lower precision, and similarity in float32, like the softmax
// that follows it: an unscaled inner product of many channels can leave float16's range.
#include <ATen/autocast_mode.h>
#include <torch/library.h>

#include "calls.h"

namespace sapa {
namespace {

using at::Tensor;

// Keeps the autocast key off the stack below.
template <c10::DeviceType DEVICE>
struct Autocast {
  c10::impl::ExcludeDispatchKeyGuard below{
      at::autocast::get_autocast_dispatch_key_from_device_type(DEVICE)};

  Tensor lower(const Tensor& t) const {
    return at::autocast::cached_cast(at::autocast::get_autocast_dtype(DEVICE), t, DEVICE);
  }
  Tensor single(const Tensor& t) const { return at::autocast::cached_cast(at::kFloat, t, DEVICE); }

  static Tensor window_similarity(const Tensor& query, const Tensor& key, int64_t kernel_size,
                                  int64_t groups) {
    Autocast cast;
    return calls::window_similarity(cast.single(query), cast.single(key), kernel_size, groups);
  }
  static Tensor window_assemble(const Tensor& weight, const Tensor& value, int64_t kernel_size,
                                int64_t groups) {
    Autocast cast;
    return calls::window_assemble(cast.lower(weight), cast.lower(value), kernel_size, groups);
  }
  static Tensor point_similarity(const Tensor& query, const Tensor& key, const Tensor& offset,
                                 int64_t groups) {
    Autocast cast;
    return calls::point_similarity(cast.single(query), cast.single(key), cast.single(offset),
                                   groups);
  }
  static Tensor point_assemble(const Tensor& weight, const Tensor& value, const Tensor& offset) {
    Autocast cast;
    return calls::point_assemble(cast.lower(weight), cast.lower(value), cast.lower(offset));
  }

  static void define(torch::Library& m) {
    m.impl("window_similarity", window_similarity);
    m.impl("window_assemble", window_assemble);
    m.impl("point_similarity", point_similarity);
    m.impl("point_assemble", point_assemble);
  }
};

}  // namespace

TORCH_LIBRARY_IMPL(sapa_ops, AutocastCPU, m) { Autocast<at::kCPU>::define(m); }
TORCH_LIBRARY_IMPL(sapa_ops, AutocastCUDA, m) { Autocast<at::kCUDA>::define(m); }

}  // namespace sapa

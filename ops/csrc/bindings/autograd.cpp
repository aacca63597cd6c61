// The backward passes. The kernels of a kind are derivatives of one sum (common/arguments.h), so
// they are each other's gradients, to any order. Only point_assemble_backward_weight_offset has no
// derivative.
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include "calls.h"

namespace sapa {
namespace {

using at::Tensor;
using c10::SymInt;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

// The saved maps, in order. While this object lives, autocast leaves the operators alone: a
// gradient is computed in the precision of its forward pass, even where backward is called under
// autocast.
struct Saved {
  c10::impl::ExcludeDispatchKeyGuard no_autocast{c10::autocast_dispatch_keyset};
  variable_list maps;

  explicit Saved(AutogradContext* ctx) : maps(ctx->get_saved_variables()) {}
  const Tensor& operator[](size_t i) const { return maps[i]; }
};

int64_t integer(AutogradContext* ctx, const char* name) { return ctx->saved_data[name].toInt(); }

struct WindowSimilarity : Function<WindowSimilarity> {
  static Tensor forward(AutogradContext* ctx, const Tensor& query, const Tensor& key,
                        int64_t kernel_size, int64_t groups) {
    ctx->save_for_backward({query, key});
    ctx->saved_data["kernel_size"] = kernel_size;
    ctx->saved_data["groups"] = groups;
    at::AutoDispatchBelowADInplaceOrView below;
    return calls::window_similarity(query, key, kernel_size, groups);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const Saved maps(ctx);
    const Tensor &query = maps[0], &key = maps[1], &grad = grads[0];
    const int64_t k = integer(ctx, "kernel_size"), groups = integer(ctx, "groups");
    Tensor query_grad, key_grad;
    if (ctx->needs_input_grad(0)) query_grad = calls::window_assemble(grad, key, k, groups);
    if (ctx->needs_input_grad(1)) {
      key_grad = calls::window_assemble_backward_value(grad, query, key.sym_size(2),
                                                       key.sym_size(3), k, groups);
    }
    return {query_grad, key_grad, Tensor(), Tensor()};
  }
};

struct WindowAssemble : Function<WindowAssemble> {
  static Tensor forward(AutogradContext* ctx, const Tensor& weight, const Tensor& value,
                        int64_t kernel_size, int64_t groups) {
    ctx->save_for_backward({weight, value});
    ctx->saved_data["kernel_size"] = kernel_size;
    ctx->saved_data["groups"] = groups;
    at::AutoDispatchBelowADInplaceOrView below;
    return calls::window_assemble(weight, value, kernel_size, groups);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const Saved maps(ctx);
    const Tensor &weight = maps[0], &value = maps[1], &grad = grads[0];
    const int64_t k = integer(ctx, "kernel_size"), groups = integer(ctx, "groups");
    Tensor weight_grad, value_grad;
    if (ctx->needs_input_grad(0)) weight_grad = calls::window_similarity(grad, value, k, groups);
    if (ctx->needs_input_grad(1)) {
      value_grad = calls::window_assemble_backward_value(weight, grad, value.sym_size(2),
                                                         value.sym_size(3), k, groups);
    }
    return {weight_grad, value_grad, Tensor(), Tensor()};
  }
};

struct WindowAssembleBackwardValue : Function<WindowAssembleBackwardValue> {
  static Tensor forward(AutogradContext* ctx, const Tensor& weight, const Tensor& high,
                        const SymInt& height, const SymInt& width, int64_t kernel_size,
                        int64_t groups) {
    ctx->save_for_backward({weight, high});
    ctx->saved_data["kernel_size"] = kernel_size;
    ctx->saved_data["groups"] = groups;
    at::AutoDispatchBelowADInplaceOrView below;
    return calls::window_assemble_backward_value(weight, high, height, width, kernel_size, groups);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const Saved maps(ctx);
    const Tensor &weight = maps[0], &high = maps[1], &grad = grads[0];
    const int64_t k = integer(ctx, "kernel_size"), groups = integer(ctx, "groups");
    Tensor weight_grad, high_grad;
    if (ctx->needs_input_grad(0)) weight_grad = calls::window_similarity(high, grad, k, groups);
    if (ctx->needs_input_grad(1)) high_grad = calls::window_assemble(weight, grad, k, groups);
    return {weight_grad, high_grad, Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

struct PointSimilarity : Function<PointSimilarity> {
  static Tensor forward(AutogradContext* ctx, const Tensor& query, const Tensor& key,
                        const Tensor& offset, int64_t groups) {
    ctx->save_for_backward({query, key, offset});
    at::AutoDispatchBelowADInplaceOrView below;
    return calls::point_similarity(query, key, offset, groups);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const Saved maps(ctx);
    const Tensor &query = maps[0], &key = maps[1], &offset = maps[2], &grad = grads[0];
    Tensor query_grad, key_grad, offset_grad;
    if (ctx->needs_input_grad(0)) query_grad = calls::point_assemble(grad, key, offset);
    if (ctx->needs_input_grad(1)) {
      key_grad = calls::point_assemble_backward_value(grad, query, offset, key.sym_size(2),
                                                      key.sym_size(3));
    }
    if (ctx->needs_input_grad(2)) {
      offset_grad =
          std::get<1>(calls::point_assemble_backward_weight_offset(grad, query, key, offset));
    }
    return {query_grad, key_grad, offset_grad, Tensor()};
  }
};

struct PointAssemble : Function<PointAssemble> {
  static Tensor forward(AutogradContext* ctx, const Tensor& weight, const Tensor& value,
                        const Tensor& offset) {
    ctx->save_for_backward({weight, value, offset});
    at::AutoDispatchBelowADInplaceOrView below;
    return calls::point_assemble(weight, value, offset);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const Saved maps(ctx);
    const Tensor &weight = maps[0], &value = maps[1], &offset = maps[2], &grad = grads[0];
    Tensor weight_grad, value_grad, offset_grad;
    if (ctx->needs_input_grad(1)) {
      value_grad = calls::point_assemble_backward_value(weight, grad, offset, value.sym_size(2),
                                                        value.sym_size(3));
    }
    if (ctx->needs_input_grad(2)) {
      std::tie(weight_grad, offset_grad) =
          calls::point_assemble_backward_weight_offset(weight, grad, value, offset);
    } else if (ctx->needs_input_grad(0)) {
      weight_grad = calls::point_similarity(grad, value, offset, weight.size(1));
    }
    return {weight_grad, value_grad, offset_grad};
  }
};

struct PointAssembleBackwardValue : Function<PointAssembleBackwardValue> {
  static Tensor forward(AutogradContext* ctx, const Tensor& weight, const Tensor& high,
                        const Tensor& offset, const SymInt& height, const SymInt& width) {
    ctx->save_for_backward({weight, high, offset});
    at::AutoDispatchBelowADInplaceOrView below;
    return calls::point_assemble_backward_value(weight, high, offset, height, width);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const Saved maps(ctx);
    const Tensor &weight = maps[0], &high = maps[1], &offset = maps[2], &grad = grads[0];
    Tensor high_grad;
    if (ctx->needs_input_grad(1)) high_grad = calls::point_assemble(weight, grad, offset);
    auto [weight_grad, offset_grad] =
        calls::point_assemble_backward_weight_offset(weight, high, grad, offset);
    return {weight_grad, high_grad, offset_grad, Tensor(), Tensor()};
  }
};

struct PointAssembleBackwardWeightOffset : Function<PointAssembleBackwardWeightOffset> {
  static variable_list forward(AutogradContext*, const Tensor& weight, const Tensor& high,
                               const Tensor& low, const Tensor& offset) {
    at::AutoDispatchBelowADInplaceOrView below;
    auto [weight_grad, offset_grad] =
        calls::point_assemble_backward_weight_offset(weight, high, low, offset);
    return {weight_grad, offset_grad};
  }

  static variable_list backward(AutogradContext*, const variable_list&) {
    TORCH_CHECK_NOT_IMPLEMENTED(
        false,
        "sapa_ops: the compiled point operators have no second derivative; run forward and "
        "backward under sapa_ops.use_backend('eager')");
  }
};

std::tuple<Tensor, Tensor> point_assemble_backward_weight_offset(const Tensor& weight,
                                                                 const Tensor& high,
                                                                 const Tensor& low,
                                                                 const Tensor& offset) {
  auto grads = PointAssembleBackwardWeightOffset::apply(weight, high, low, offset);
  return {grads[0], grads[1]};
}

template <class Operator, class... Arguments>
Tensor differentiable(Arguments... arguments) {
  return Operator::apply(arguments...);
}

}  // namespace

TORCH_LIBRARY_IMPL(sapa_ops, Autograd, m) {
  m.impl("window_similarity",
         differentiable<WindowSimilarity, const Tensor&, const Tensor&, int64_t, int64_t>);
  m.impl("window_assemble",
         differentiable<WindowAssemble, const Tensor&, const Tensor&, int64_t, int64_t>);
  m.impl("window_assemble_backward_value",
         differentiable<WindowAssembleBackwardValue, const Tensor&, const Tensor&, SymInt, SymInt,
                        int64_t, int64_t>);
  m.impl("point_similarity",
         differentiable<PointSimilarity, const Tensor&, const Tensor&, const Tensor&, int64_t>);
  m.impl("point_assemble",
         differentiable<PointAssemble, const Tensor&, const Tensor&, const Tensor&>);
  m.impl("point_assemble_backward_value",
         differentiable<PointAssembleBackwardValue, const Tensor&, const Tensor&, const Tensor&,
                        SymInt, SymInt>);
  m.impl("point_assemble_backward_weight_offset", point_assemble_backward_weight_offset);
}

}  // namespace sapa

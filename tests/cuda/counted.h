// What work on a card must move and multiply at least: every kernel of its table counted as it is called. And how much memory
// was in use at once.
#pragma once
#include <algorithm>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/device.h"
#include "kernels/gemm.h"

namespace duet {

inline Kernels& card_table() { return const_cast<Kernels&>(kernels(Device::cuda)); }

struct Rates {
  double copy, matrix;  // bytes/s and FLOP/s, measured
};
struct Work {
  double seconds = 0;   // the kernels' floors, one after another
  double flops = 0;     // of products and attention
  int64_t kernels = 0;  // calls of the table
};

class Counted {
 public:
  // What f asks of the card, of which nothing is replayed, so that all of it is seen.
  static Work work(const Rates& r, const std::function<void()>& f) {
    const Kernels was = card_table();
    total_ = {}, rates_ = r;
    wrap<&Kernels::convert, &Kernels::fill, &Kernels::linear, &Kernels::linear_bwd, &Kernels::gemm, &Kernels::norm_mod,
         &Kernels::norm_mod_bwd, &Kernels::gate_add, &Kernels::gate_norm, &Kernels::gate_add_bwd, &Kernels::qk_rope,
         &Kernels::qk_rope_bwd, &Kernels::attention, &Kernels::attention_bwd, &Kernels::cache_put, &Kernels::swiglu,
         &Kernels::swiglu_bwd, &Kernels::silu, &Kernels::silu_bwd, &Kernels::gather, &Kernels::gather_bwd,
         &Kernels::segment_mean, &Kernels::segment_mean_bwd, &Kernels::column_sum, &Kernels::add, &Kernels::add_scaled,
         &Kernels::scale, &Kernels::mod_table, &Kernels::cross_entropy, &Kernels::cross_entropy_bwd, &Kernels::square_error,
         &Kernels::square_error_bwd, &Kernels::weighted_total, &Kernels::sigmoid_contrastive, &Kernels::outer_sum,
         &Kernels::outer_sum_bwd, &Kernels::unit_rows, &Kernels::unit_rows_bwd, &Kernels::clip_factor, &Kernels::adamw,
         &Kernels::muon, &Kernels::lerp, &Kernels::patchify, &Kernels::add_noise, &Kernels::normals, &Kernels::guide,
         &Kernels::euler, &Kernels::heun, &Kernels::copy_rows>();
    card_table().record = [](const std::function<void()>&) { return std::shared_ptr<void>(); };
    f();
    card_table() = was;
    return total_;
  }

 private:
  using Tensors = std::vector<const Tensor*>;
  static void collect(Tensors& all, const Tensor& t) { all.push_back(&t); }
  template <class Other>
  static void collect(Tensors&, const Other&) {}

  template <auto M, auto... Of>
  static constexpr bool kAmong =
      (std::is_same_v<std::integral_constant<decltype(M), M>, std::integral_constant<decltype(Of), Of>> || ...);

  // Of which of its tensors a kernel needs but some rows or columns: they are left out.
  template <auto M>
  static constexpr unsigned tables() {
    if (kAmong<M, &Kernels::gather, &Kernels::cache_put>)
      return kAmong<M, &Kernels::gather> ? 1 << 1 | 1 << 2 : 1 << 0 | 1 << 1;
    if (kAmong<M, &Kernels::gather_bwd, &Kernels::copy_rows>) return 1 << 0 | 1 << 1;
    if (kAmong<M, &Kernels::norm_mod, &Kernels::gate_add>) return 1 << 3;
    if (kAmong<M, &Kernels::gate_norm>) return 1 << 5;
    if (kAmong<M, &Kernels::norm_mod_bwd>) return 1 << 1 | 1 << 5;
    if (kAmong<M, &Kernels::gate_add_bwd>) return 1 << 1 | 1 << 4;
    if (kAmong<M, &Kernels::attention>) return 1 << 3 | 1 << 4;
    return 0;
  }

  // Each tensor on the card once, weights as products read them; what is picked from a table is as large as where it goes.
  template <auto M>
  static double moved(const Tensors& all) {
    double sum = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      const Tensor& t = *all[i];
      if (!t || t.device() == Device::cpu || tables<M>() >> i & 1) continue;
      const bool narrow = kAmong<M, &Kernels::linear, &Kernels::linear_bwd, &Kernels::gemm> && t.rounded();
      sum += double(t.bytes()) / (narrow ? 2 : 1);
    }
    return sum * (kAmong<M, &Kernels::gather, &Kernels::gather_bwd> ? 2 : 1);
  }

  // Those of attention, which the library's count leaves out: four a value of each key that a query sees.
  template <auto M>
  static double attention_flops(const Tensors& all) {
    if (!kAmong<M, &Kernels::attention, &Kernels::attention_bwd>) return 0;
    const Tensor& limit = *all.back();
    double keys = 0;
    for (int64_t i = 0; i < limit.count(); ++i) keys += limit.data<int32_t>()[i];
    const bool backward = kAmong<M, &Kernels::attention_bwd>;
    return (backward ? 10 : 4) * keys * double(all[backward ? 1 : 0]->dim(1));
  }

  template <auto M, class... A>
  struct Wrapped {
    static inline void (*real)(A...);
    static void call(A... a) {
      Tensors all;
      (collect(all, a), ...);
      const int64_t before = gemm_flops();
      ++depth_;
      real(a...);
      if (--depth_ > 0) return;  // its caller counts
      const double flops = double(gemm_flops() - before) + attention_flops<M>(all);
      total_.seconds += std::max(moved<M>(all) / rates_.copy, flops / rates_.matrix);
      total_.flops += flops, ++total_.kernels;
    }
  };
  template <auto M, class... A>
  static void wrap_one(void (*&entry)(A...)) {
    Wrapped<M, A...>::real = std::exchange(entry, &Wrapped<M, A...>::call);
  }
  template <auto... M>
  static void wrap() {
    (wrap_one<M>(card_table().*M), ...);
  }

  static inline Work total_;
  static inline Rates rates_;
  static inline int depth_ = 0;
};

// Bytes of tensors on the card, now and at most at once since restart(). Make it before the first of them.
class MemoryWatch {
 public:
  MemoryWatch() {
    DeviceMemory& m = card_table().memory;
    take_ = std::exchange(m.take, [](size_t& bytes) {
      void* p = take_(bytes);
      now_ += int64_t(bytes), most_ = std::max(most_, now_);
      return p;
    });
    give_ = std::exchange(m.give, [](void* p, size_t bytes) { now_ -= int64_t(bytes), give_(p, bytes); });
  }
  void restart() { most_ = now_; }
  int64_t most() const { return most_; }

 private:
  static inline void* (*take_)(size_t&);
  static inline void (*give_)(void*, size_t);
  static inline int64_t now_ = 0, most_ = 0;
};

}  // namespace duet

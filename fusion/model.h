// The model, whole: vision stem, text stem, shared fusion blocks, and three heads.
//   [text][image]  text-to-image: flow head on the picture      [image][text]  caption: next-token head on the text
//   [image] or [text] alone, pooled: contrastive embedding
// Text in [text][image] and pictures in [image][text] come first and see nothing of the other, so the two training
// passes also give the embeddings, and a sampler can keep the words' keys and values while it runs the picture again
// and again.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "fusion/layout.h"
#include "fusion/refine.h"
#include "kernels/module.h"

namespace duet {

struct ModelConfig {
  int64_t patch = 8;  // pixels a side of a patch
  int64_t size = 64;  // pixels a side the model was trained at
  int64_t vocab = 4096;
  int64_t width = 256;   // C
  int64_t head = 64;     // D
  int64_t hidden = 704;  // F of SwiGLU
  int64_t vision_depth = 3, text_depth = 3, fusion_depth = 8;
  int64_t embed = 256;        // E of the contrastive head
  float theta = 100;          // rotary base; positions are small
  int64_t refine = 0;         // channels of the refiner behind the flow head; 0: none
  bool whole_prompt = false;  // in the fusion blocks a prompt's tokens see all of it; else causal, as in the stem
  template <class V>
  void fields(V&& v) {
    v("patch", patch), v("size", size), v("vocab", vocab), v("width", width), v("head", head), v("hidden", hidden);
    v("vision_depth", vision_depth), v("text_depth", text_depth), v("fusion_depth", fusion_depth), v("embed", embed);
    v("theta", theta), v("refine", refine), v("whole_prompt", whole_prompt);
  }
};

class Model {
 public:
  explicit Model(const ModelConfig&, uint64_t seed = 1);
  const ModelConfig config;

  // t of each picture -> modulation of the picture rows (R, 6C) for the vision blocks, the fusion blocks and the flow
  // head, (R, patch^2 4) how much of its noisy input the flow head passes on, and what the refiner is told
  struct Times {
    Var vision, fusion, head, skip, refine;
  };
  Times times(const std::vector<float>& t) const;

  // (N) -> (N,C). caches: one a block of the stem, or none; with Layout::to.
  Var text_stem(const Tensor& ids, const Layout&, std::vector<KvCache>* caches = nullptr) const;
  Var vision_stem(const Tensor& patches, const Layout&, const Times&) const;  // (N, patch^2 4) -> (N,C)
  // caches: one a fusion block, or none; used: not with Layout::to
  Var fuse(const Var& x, const Layout&, const Times&, std::vector<KvCache>* caches = nullptr,
           const std::vector<int32_t>* used = nullptr) const;
  std::vector<KvCache> fusion_caches(int64_t B, int64_t capacity) const;

  // (N,C) and the noisy patches (N, patch^2 4) -> predicted clean patches, of three parts: a linear one; four masks,
  // each times a colour, since a pixel is its coverage times its colour; and a share of the input that depends on t and
  // passes by the blocks, since near t = 1 it is nearly the picture, in more detail than C channels hold. Then the
  // refiner, where there is one. row, place: as Refiner takes them.
  Var flow_head(const Var& h, const Tensor& noisy, const Tensor& place, const Tensor& row, const Times&) const;
  Var token_logits(const Var& h) const;                         // (N,C) -> (N,V)
  Var picture_embedding(const Var& h, const Tensor& at) const;  // mean over segments -> unit rows (B,E)
  Var text_embedding(const Var& h, const Tensor& at) const;

  void params(const Visit&);  // a new one: say in fusion/wider.cc how it widens
  Segment prompt(int tokens) const { return Segment::prompt(tokens, config.whole_prompt); }  // in the fusion blocks
  Device device() const;  // where the parameters lie: see flatten()
  int64_t patch_values() const { return config.patch * config.patch * 4; }

  Var log_scale, bias;  // of the contrastive head

 private:
  Var table_;  // (V,C), tied: input embedding and output head
  Linear patch_in_, place_in_, time1_, time2_, time_vision_, time_fusion_, time_head_, time_skip_, flow_out_, embed_picture_,
      embed_text_;
  Var own_flow_, own_text_, own_pool_;  // modulation of the norms before the heads
  Linear outer_out_;
  Var own_skip_;
  Refiner refine_;
  std::vector<Block> vision_, text_, fusion_;
  Var pooled(const Var& h, const Tensor& at, const Linear& to, int64_t column) const;
};

int64_t count_params(Model&);

}  // namespace duet

#include "fusion/distill.h"

#include "fusion/flow.h"
#include "fusion/patchify.h"
#include "kernels/device.h"

namespace duet {
namespace {

// The batch's words and pictures as the teacher sees them: every picture with its words, then every one without.
class Teacher {
 public:
  Teacher(const Model& m, const JointBatch& batch, const JointConfig& c)
      : m_(m), B_(batch.B), P_((batch.size / m.config.patch) * (batch.size / m.config.patch)) {
    const int side = int(batch.size / m.config.patch);
    const PackedWords packed = pack_words(batch);
    const std::vector<int32_t>& text_at = packed.at;
    std::vector<Sequence> pictures, joint;
    std::vector<int32_t> from, at, row;
    for (int64_t i = 0; i < 2 * B_; ++i) {
      const int64_t b = i % B_, text = i >= B_ || without_words(batch, c, b) ? B_ : b;
      const Segment image = Segment::image(side, side, int(b) + 1);
      if (i < B_) pictures.push_back({image});
      for (int32_t n = text_at[size_t(text)]; n < text_at[size_t(text) + 1]; ++n) from.push_back(n);
      for (int64_t p = 0; p < P_; ++p) {
        at.push_back(int32_t(from.size()));
        from.push_back(int32_t(-(b * P_ + p) - 1));
        row.push_back(int32_t(b) + 1);
      }
      joint.push_back({m.prompt(text_at[size_t(text) + 1] - text_at[size_t(text)]), image});
    }
    words_ = m.text_stem(packed.ids, make_layout(packed.sequences));
    alone_ = make_layout(pictures), joint_ = make_layout(joint);
    from_ = Tensor::ints(from), at_ = Tensor::ints(at), row_ = Tensor::ints(row);
    std::vector<int32_t> twin;
    for (int64_t p = 0; p < 2 * B_ * P_; ++p) twin.push_back(int32_t(p % (B_ * P_)));
    twin_ = Tensor::ints(twin);
    std::vector<int32_t> place(alone_.pos.data<int32_t>(), alone_.pos.data<int32_t>() + 2 * B_ * P_);
    place.insert(place.end(), place.begin(), place.begin() + 2 * B_ * P_);
    place_ = Tensor::ints(place).reshape({2 * B_ * P_, 2});
  }

  // The guided guess (B P, V) for pictures on their way.
  Tensor operator()(const Tensor& z, const std::vector<float>& t, double guidance) const {
    const Model::Times times = m_.times(t);
    const Var h = m_.fuse(gather(words_, m_.vision_stem(z, alone_, times), from_), joint_, times);
    const Tensor both = gather(Var(z), {}, twin_).value();
    const Tensor x = m_.flow_head(gather(h, {}, at_), both, place_, row_, times).value();
    const Tensor guess(z.shape(), DType::f32, z.device());
    kernels(z).guide(guess, x, float(guidance));
    return guess;
  }

 private:
  const Model& m_;
  const int64_t B_, P_;
  Var words_;
  Layout alone_, joint_;
  Tensor from_, at_, row_, twin_, place_;
};

}  // namespace

FlowGoal distill_goal(const Model& teacher, const JointBatch& batch, const JointConfig& c, const DistillConfig& d) {
  if (d.steps < 1 || d.parts < 1) refuse("distill.steps and distill.parts must be 1 or more");
  if (!(d.guidance > 0) || !(d.shift > 0)) refuse("distill.guidance and distill.shift must be above 0");
  const NoGrad off;
  const int64_t B = batch.B, V = teacher.patch_values();
  const Kernels& k = kernels(teacher.device());

  // Pictures side by side take the same step, so that each step is one call; which one comes first changes.
  struct Group {
    int step;
    int64_t first, count;
  };
  std::vector<Group> groups;
  const int64_t turn = int64_t(mix(batch.seed, 4) % uint64_t(d.steps));
  for (int64_t g = 0; g < d.steps; ++g) {
    const int64_t first = g * B / d.steps, end = (g + 1) * B / d.steps;
    if (end > first) groups.push_back({int((g + turn) % d.steps), first, end - first});
  }
  // Times of the teacher's grid: each of the student's steps holds `parts` of its own.
  const auto times = [&](int part) {
    std::vector<float> t;
    for (const Group& g : groups)
      t.insert(t.end(), size_t(g.count), step_time(g.step * d.parts + part, d.steps * d.parts, d.shift));
    return t;
  };

  FlowGoal goal{times(0), {}};
  const Tensor clean = patchify(batch.pixels, B, batch.size, batch.size, teacher.config.patch, teacher.device());
  const Tensor begin(clean.shape(), DType::f32, clean.device());
  make_noisy(batch, begin, clean, goal.t);
  const int64_t P = begin.shape().rows() / B;
  const auto part_of = [&](const Tensor& x, const Group& g) { return x.slice(g.first * P * V, {g.count * P, V}); };

  const Teacher guess(teacher, batch, c);
  const Tensor z = begin.clone();
  for (int part = 0; part < d.parts; ++part) {
    const std::vector<float> now = times(part), next = times(part + 1);
    const Tensor x = guess(z, now, d.guidance);
    for (const Group& g : groups) {
      const float t = now[size_t(g.first)];
      k.lerp(part_of(z, g), part_of(x, g), {}, (next[size_t(g.first)] - t) / (1 - t));
    }
  }
  // begin + (end - t) / (1 - t) (target - begin) = z
  const std::vector<float> end = times(d.parts);
  goal.target = begin;
  for (const Group& g : groups) {
    const float t = goal.t[size_t(g.first)];
    k.lerp(part_of(goal.target, g), part_of(z, g), {}, (1 - t) / (end[size_t(g.first)] - t));
  }
  return goal;
}

}  // namespace duet

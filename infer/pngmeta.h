// What a drawn PNG says of itself: how it was made, so that it can be made again.
//   parameters          the infotext that image tools write and read (AUTOMATIC1111's stable-diffusion-webui)
//   duet                the same as JSON: the fields below
//   XML:com.adobe.xmp   kMadeByModel
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vision/pngtext.h"

namespace duet {

struct DrawOptions;  // infer/sampler.h

struct DrawnMeta {
  std::string prompt, negative, style;  // as given; the model was told with_style(prompt, style)
  int64_t seed = 0;
  int steps = 0;
  double guidance = 0;
  bool heun = false;
  double shift = 3, guide_from = 0, guide_to = 1;  // absent in files of before these could be chosen
  std::string finish = "raw";                      // see vision/finish.h; absent likewise
  int width = 0, height = 0;
  int drawn_width = 0, drawn_height = 0;  // by the model, where it was then enlarged; else 0, and absent from the file
  std::string precision;                  // f32, bf16, int8+bf16: see arithmetic(); the same seed draws other bits in another
  std::string model, model_hash;          // name of the weights' folder; XXH3 of the file
  std::string version;                    // of duet
  void take(const DrawOptions&);          // steps, guidance and the like, without the size
  template <class V>
  void fields(V&& v) {
    v("prompt", prompt), v("negative", negative), v("style", style), v("seed", seed), v("steps", steps);
    v("guidance", guidance), v("heun", heun), v("shift", shift), v("guide_from", guide_from), v("guide_to", guide_to);
    v("finish", finish);
    v("width", width), v("height", height), v("precision", precision);
    v("model", model), v("model_hash", model_hash), v("version", version);
    if (drawn_width != 0) v("drawn_width", drawn_width), v("drawn_height", drawn_height);
  }
  bool operator==(const DrawnMeta&) const = default;
};

// XMP with IPTC's digital source type trainedAlgorithmicMedia: made by a model. JPEG and WebP carry it too.
extern const std::string_view kMadeByModel;

std::string infotext(const DrawnMeta&);
std::vector<PngText> drawn_texts(const DrawnMeta&);

// Of a PNG that duet drew; none if it has no `duet` text. Refuses a damaged one.
std::optional<DrawnMeta> read_drawn(std::span<const uint8_t> png, const std::string& name);

}  // namespace duet

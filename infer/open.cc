#include "infer/open.h"

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <system_error>

#include "fusion/narrow.h"
#include "kernels/device.h"
#include "kernels/parallel.h"

namespace duet {
namespace fs = std::filesystem;

std::string find_weights(const std::string& given) {
  const char* named = std::getenv("DUET_WEIGHTS");
  const std::string asked = !given.empty() || !named ? given : named, name = asked.empty() ? kUsualWeights : asked;
  std::error_code none;
  if (!asked.empty() && (asked.find('/') != std::string::npos || fs::exists(asked, none))) return asked;  // a path
  const fs::path program = fs::read_symlink("/proc/self/exe", none).parent_path(), own = fs::path("assets") / name;
  std::string looked;
  for (const fs::path& at : {program / own, program.parent_path() / own, own}) {
    if (fs::exists(at / "model.safetensors", none)) return at.string();
    looked += (looked.empty() ? "" : ", ") + at.string();
  }
  if (!asked.empty() && asked != kUsualWeights)
    refuse(asked, ": no such weights; name a folder that 'duet train' wrote, or those that ship: ", kShippedWeights);
  refuse("no weights found (looked in ", looked, "); name some with --weights DIR or $DUET_WEIGHTS, or train a model ",
         "with 'duet train', which writes RUN/model");
}

static std::optional<DType> narrow_type(const std::string& name) {
  if (name == "none") return {};
  for (const DType t : {DType::int8, DType::int4, DType::fp8})
    if (name == name_of(t)) return t;
  refuse("--quantize '", name, "' is none of none, int8, int4, fp8");
}

static void refuse_on_cpu(DType narrow) {
  if (narrow == DType::int8) return refuse_without_int8();
  refuse("--quantize ", name_of(narrow),
         " needs a card, and this is on the CPU: use --quantize int8 or none, or --device cuda");
}

Opened open_model(const OpenOptions& o) {
  if (o.threads < 0 || o.threads > 1024) refuse("--threads ", o.threads, " is not within 0 to 1024");
  if (o.threads > 0) set_threads(o.threads);
  choose_device(o.device);
  choose_precision(o.precision);
  const std::optional<DType> narrow = narrow_type(o.quantize);
  const bool card = device() == Device::cuda;
  if (narrow && !card) refuse_on_cpu(*narrow);
  Opened opened{load_weights(find_weights(o.weights), narrow ? Device::cpu : device()), nullptr, {}};
  Model& model = *opened.loaded.model;
  if (narrow && card) {
    narrow_on_card(model, *narrow);
    opened.frozen = std::make_unique<Frozen>(*narrow);
  } else {
    opened.frozen = std::make_unique<Frozen>(narrow ? int8_weights(model) : std::vector<const float*>());
  }
  opened.name = fs::absolute(opened.loaded.path).parent_path().filename().string();
  return opened;
}

}  // namespace duet

#include "infer/open.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "fusion/quantize.h"
#include "kernels/device.h"
#include "kernels/parallel.h"

namespace duet {
namespace fs = std::filesystem;

std::string find_weights(const std::string& given) {
  const char* named = std::getenv("DUET_WEIGHTS");
  const std::string asked = !given.empty() || !named ? given : named, name = asked.empty() ? "xs" : asked;
  std::error_code none;
  if (!asked.empty() && (asked.find('/') != std::string::npos || fs::exists(asked, none))) return asked;  // a path
  const fs::path program = fs::read_symlink("/proc/self/exe", none).parent_path(), own = fs::path("assets") / name;
  std::string looked;
  for (const fs::path& at : {program / own, program.parent_path() / own, own}) {
    if (fs::exists(at / "model.safetensors", none)) return at.string();
    looked += (looked.empty() ? "" : ", ") + at.string();
  }
  if (!asked.empty() && asked != "xs") return asked;  // load_weights says what is wrong with it
  refuse("no weights found (looked in ", looked, "); name some with --weights DIR or $DUET_WEIGHTS, or train a model ",
         "with 'duet train', which writes RUN/model");
}

Opened open_model(const OpenOptions& o) {
  if (o.threads < 0 || o.threads > 1024) refuse("--threads ", o.threads, " is not within 0 to 1024");
  if (o.threads > 0) set_threads(o.threads);
  choose_device(o.device);
  choose_precision(o.precision);
  const bool int8 = o.quantize == "int8";
  if (int8 && device() == Device::cuda) refuse("--quantize int8 is for the CPU: add --device cpu, or use --quantize none");
  if (int8) refuse_without_int8();
  Opened opened{load_weights(find_weights(o.weights)), nullptr, {}};
  opened.frozen = std::make_unique<Frozen>(int8 ? int8_weights(*opened.loaded.model) : std::vector<const float*>());
  opened.name = fs::absolute(opened.loaded.path).parent_path().filename().string();
  return opened;
}

}  // namespace duet

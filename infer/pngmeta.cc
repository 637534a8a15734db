#include "infer/pngmeta.h"

#include <algorithm>
#include <sstream>

#include "fusion/fields.h"
#include "fusion/shards.h"
#include "infer/sampler.h"

namespace duet {
namespace {

constexpr const char* kParameters = "parameters";
constexpr const char* kOwn = "duet";
constexpr const char* kXmp = "XML:com.adobe.xmp";

}  // namespace

// The packet of XMP Specification Part 1, 7.3; its begin is U+FEFF.
const std::string_view kMadeByModel =
    "<?xpacket begin=\"\xef\xbb\xbf\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>"
    "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">"
    "<rdf:Description rdf:about=\"\" xmlns:Iptc4xmpExt=\"http://iptc.org/std/Iptc4xmpExt/2008-02-29/\" "
    "Iptc4xmpExt:DigitalSourceType=\"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia\"/>"
    "</rdf:RDF></x:xmpmeta><?xpacket end=\"r\"?>";

void DrawnMeta::take(const DrawOptions& o) {
  steps = o.steps, guidance = o.guidance, heun = o.heun, shift = o.shift, guide_from = o.guide_from, guide_to = o.guide_to;
  finish = name_of(o.finish);
}

std::string infotext(const DrawnMeta& m) {
  std::ostringstream s;
  s << with_style(m.prompt, m.style) << '\n';
  if (!m.negative.empty()) s << "Negative prompt: " << m.negative << '\n';
  s << "Steps: " << m.steps << ", Sampler: " << (m.heun ? "Heun" : "Euler") << ", CFG scale: " << m.guidance
    << ", Seed: " << m.seed << ", Size: " << m.width << 'x' << m.height << ", Model hash: " << m.model_hash
    << ", Model: " << m.model << ", Version: duet " << m.version;
  return s.str();
}

std::vector<PngText> drawn_texts(const DrawnMeta& m) {
  return {{kParameters, infotext(m)}, {kOwn, to_json(m)}, {kXmp, std::string(kMadeByModel)}};
}

std::optional<DrawnMeta> read_drawn(std::span<const uint8_t> png, const std::string& name) {
  for (const PngText& t : read_png_text(png, name))
    if (t.key == kOwn) {
      DrawnMeta m;
      m.drawn_width = m.drawn_height = -1;  // may be there
      from_json(t.value, name + ": its text 'duet'", m);
      m.drawn_width = std::max(0, m.drawn_width), m.drawn_height = std::max(0, m.drawn_height);
      return m;
    }
  return std::nullopt;
}

}  // namespace duet

// The bodies that strangers send: forms, JSON with fields, base64. The first byte says which.
#include <cstdint>

#include "infer/apiparams.h"
#include "infer/base64.h"
#include "infer/multipart.h"
#include "kernels/files.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace duet;
  if (size == 0) return 0;
  const std::string_view text = as_text({data + 1, size - 1});
  static const Field fields[] = {{"prompt", Field::text, "", 0, 64, "", true},
                                 {"n", Field::integer, "", 1, 10},
                                 {"guidance", Field::number, "", 0, 30},
                                 {"stream", Field::flag, ""},
                                 {"format", Field::choice, "", 0, 0, "a|b"},
                                 {"image", Field::file, ""},
                                 {"input", Field::any, ""}};
  HttpRequest r;
  r.method = "POST", r.body = std::string(text);
  r.headers["content-type"] = data[0] % 3 == 0 ? "application/json" : "multipart/form-data; boundary=X";
  try {
    switch (data[0] % 3) {
      case 0:
      case 1: {
        const Params p(r, fields, true, true);
        p.text("prompt"), p.integer("n", 1), p.number("guidance", 1), p.flag("stream", false), p.text("format"),
            p.files("image");
        break;
      }
      case 2:
        if (const auto bytes = from_base64(text); bytes && from_base64(to_base64(*bytes)) != bytes) __builtin_trap();
        percent_decoded(text);
        parse_multipart(text, text);
    }
  } catch (const Error&) {
  }
  return 0;
}

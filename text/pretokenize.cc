#include "text/pretokenize.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <memory>

#include "kernels/error.h"
#include "text/unicode.h"

namespace duet {
namespace {

// PCRE2's own \s would add U+180E, which stopped being white space in Unicode 6.3.
#define SPACE R"(\p{Z}\t-\r\x{85})"
constexpr char kPattern[] = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^)" SPACE R"(\p{L}\p{N}]+|[)" SPACE
                            R"(]+(?![^)" SPACE R"(])|[)" SPACE R"(]+)";
#undef SPACE

pcre2_code* compiled() {
  static pcre2_code* const code = [] {
    int error = 0;
    PCRE2_SIZE at = 0;
    pcre2_code* c = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(kPattern), PCRE2_ZERO_TERMINATED,
                                  PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &error, &at, nullptr);
    CHECK(c, "the pre-tokenizer pattern compiles, error ", error, " at ", at);
    pcre2_jit_compile(c, PCRE2_JIT_COMPLETE);  // where there is no JIT, pcre2_match interprets
    return c;
  }();
  return code;
}

struct Matcher {
  std::unique_ptr<pcre2_match_context, decltype(&pcre2_match_context_free)> context{pcre2_match_context_create(nullptr),
                                                                                    pcre2_match_context_free};
  std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> data{pcre2_match_data_create(1, nullptr),
                                                                           pcre2_match_data_free};
  Matcher() {
    CHECK(context && data, "memory for a PCRE2 match");
    // The pattern steps back at most one character; the limits only promise that it stays so.
    pcre2_set_match_limit(context.get(), 10000);
    pcre2_set_depth_limit(context.get(), 1000);
  }
};

// text is valid UTF-8.
void cut_valid(std::string_view text, std::vector<std::string_view>& out) {
  thread_local Matcher matcher;
  auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  for (size_t at = 0; at < text.size();) {
    int found =
        pcre2_match(compiled(), subject, text.size(), at, PCRE2_NO_UTF_CHECK, matcher.data.get(), matcher.context.get());
    CHECK(found == 1, "every character starts a piece; PCRE2 says ", found, " at byte ", at);
    size_t end = pcre2_get_ovector_pointer(matcher.data.get())[1];
    out.push_back(text.substr(at, end - at));
    at = end;
  }
}

}  // namespace

void pretokenize(std::string_view text, std::vector<std::string_view>& out) {
  size_t start = 0;
  for (size_t at = 0; at < text.size();) {
    size_t n = utf8_sequence(text, at);
    if (n == 0) {
      cut_valid(text.substr(start, at - start), out);
      out.push_back(text.substr(at, 1));
      start = at + 1;
    }
    at += n ? n : 1;
  }
  cut_valid(text.substr(start), out);
}

}  // namespace duet

// Every graph of attention and of convolutions that we use is accepted by cuDNN for an H100, on a machine without a card: cuDNN
// checks the graph, offers engines for it and compiles the first one's kernel; only its loading fails, since there is no
// driver. The card is described by a file of its properties, and the toolkit's stub stands in for the driver's library
// (LD_LIBRARY_PATH, set by CMake). Returns 77 where cuDNN is not installed, which ctest shows as skipped.
#include <cstdio>
#include <fstream>
#include <iterator>

#include "kernels/cudnn.h"
#include "kernels/error.h"

namespace duet::cuda {
namespace {

int run(const char* file) {
  if (const std::string why = cudnn_missing(); !why.empty()) {
    std::printf("SKIPPED, no graph was checked: %s\n", why.c_str());
    return 77;
  }
  std::ifstream in(file);
  const std::string json((std::istreambuf_iterator<char>(in)), {});
  if (json.empty()) refuse(file, ": the card's properties are missing");
  int bad = 0;
  const auto ask = [&](const std::string& what, const auto& g) {
    std::string said;
    bool fine = false;
    try {
      const GraphAnswer a = ask_cudnn(g, json);
      fine = a.engines > 0 && (a.stopped.empty() || a.stopped.find("cuLibraryLoadData") != std::string::npos);
      said = join(a.engines, " engines; ", a.stopped);
    } catch (const Error& e) {
      said = e.what();
    }
    if (!fine) ++bad;
    std::printf("%-7s %s: %s\n", fine ? "ok" : "REFUSED", what.c_str(), said.c_str());
    std::fflush(stdout);
  };
  const auto ask_attention = [&](const char* what, const AttentionGraph& g) {
    ask(join("attention, ", what, g.backward ? ", backward" : "", ", B ", g.B, " H ", g.H, " D ", g.D, " q ", g.q, " k ", g.k),
        g);
  };
  const auto ask_convolutions = [&](ConvGraph g) {
    const auto say = [&](const char* pass) {
      ask(join("convolution", pass, g.bias ? " with a bias" : "", g.fixed_order ? ", in a fixed order" : "", ", ", g.B, " of ",
               g.H, " x ", g.W, ", ", g.C, " to ", g.O),
          g);
    };
    say("");
    g.bias = true, say("");
    g.bias = false;
    g.pass = ConvPass::dx, say(", gradient of x");
    g.pass = ConvPass::dw, say(", gradient of w");
  };
  for (const bool backward : {false, true}) {
    ask_attention("words", {backward, AttentionMask::causal, 96, 3, 64, 64, 64, 576, 576});
    ask_attention("pictures", {backward, AttentionMask::full, 96, 8, 64, 64, 64, 1536, 1536});
    ask_attention("words and pictures", {backward, AttentionMask::limit, 96, 8, 64, 128, 128, 1536, 1536});
    ask_attention("long ones, wide heads", {backward, AttentionMask::limit, 4, 8, 128, 1088, 1088, 3072, 3072});
    ask_attention("narrow heads", {backward, AttentionMask::limit, 16, 4, 32, 128, 128, 384, 384});
  }
  ask_attention("a picture after cached words", {false, AttentionMask::full, 128, 8, 64, 64, 128, 1536, 512});
  ask_attention("a token after cached ones", {false, AttentionMask::full, 64, 8, 64, 64, 128, 1536, 512});
  for (const int64_t B : {1, 512})
    for (const int64_t C : {16, 32}) {
      for (const auto& [H, W] : {std::pair<int64_t, int64_t>{32, 32}, {64, 64}, {7, 5}})
        ask_convolutions({ConvPass::forward, false, false, B, H, W, C, 32});
      ask_convolutions({ConvPass::forward, false, true, B, 32, 32, C, 32});
    }
  std::printf("%d refused\n", bad);
  return bad != 0;
}

}  // namespace
}  // namespace duet::cuda

int main(int, char** argv) {
  try {
    return duet::cuda::run(argv[1]);
  } catch (const std::exception& e) {
    std::printf("%s\n", e.what());
    return 1;
  }
}

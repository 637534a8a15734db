// duet demo: the whole of the model in one go, on pictures and words that come with it.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "infer/classify.h"
#include "infer/cli.h"
#include "infer/pngmeta.h"
#include "infer/reader.h"
#include "infer/sampler.h"
#include "infer/search.h"
#include "kernels/error.h"
#include "kernels/parallel.h"
#include "text/unicode.h"
#include "vision/codec.h"
#include "vision/draw.h"
#include "vision/patch.h"
#include "vision/transform.h"

namespace duet {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

constexpr int kCell = 128;  // pixels of a picture on a page

// Chosen before any was drawn, and drawn with seeds 1 to 16: what comes is typical, good or bad.
const char* const kPrompts[] = {"a red circle",
                                "a small blue star above a big green square",
                                "a yellow heart to the left of a purple diamond",
                                "grinning face",
                                "red apple",
                                "rocket",
                                "butterfly",
                                "a sailboat",
                                "파란 별",
                                "빨간 원이 파란 사각형의 왼쪽에 있다",
                                "초록색 삼각형",
                                "고양이 얼굴",
                                "무지개",
                                "피자",
                                "나무",
                                "빨간 하트"};
const char* const kQueries[] = {"something to drink", "animal", "식물", "탈것"};

struct DemoOptions {
  std::string out = "demo", pictures;
  DrawOptions draw;
  bool json = false;
  OpenOptions open;
};

// The pictures that ship beside the weights: looked for as find_weights looks.
std::string find_samples(const std::string& given) {
  if (!given.empty()) {
    if (!fs::is_directory(given)) refuse("--pictures ", given, ": no such folder; name one with two pictures or more");
    return given;
  }
  std::error_code none;
  const fs::path program = fs::read_symlink("/proc/self/exe", none).parent_path();
  for (const fs::path& at : {program / "assets/samples", program.parent_path() / "assets/samples", fs::path("assets/samples")})
    if (fs::is_directory(at, none)) return at.string();
  refuse("no assets/samples beside the program or here; name a folder of pictures with --pictures DIR");
}

// On squares of middle grey, where white, black and nothing can be told apart.
Image on_grey(const Image& picture) {
  const Image shown = fit_square(picture, kCell);
  Image page(kCell, kCell);
  constexpr int kSquare = kCell / 8;
  for (int y = 0; y < kCell; y += kSquare)
    for (int x = 0; x < kCell; x += kSquare)
      fill(page, x, y, kSquare, kSquare, (x + y) / kSquare % 2 ? 0x8a8d92ff : 0xa2a5aaff);
  blit(page, shown, 0, 0);
  return page;
}

void write_page(const fs::path& path, std::vector<std::pair<Image, std::string>> cells, int columns) {
  for (auto& [picture, label] : cells)
    if (!picture.empty()) picture = on_grey(picture);
  write_file_atomic(path.string(), encode_png(contact_sheet(cells, columns, kCell, false)));
}

// "a red circle" -> "01-a-red-circle.png"
std::string file_name(size_t i, std::string words) {
  std::replace(words.begin(), words.end(), ' ', '-');
  return fmt::format("{:02}-{}.png", i + 1, words);
}

// "toy-truck.png" -> "toy truck": the pictures' names are the labels to choose from.
std::string label_of(const std::string& path) {
  std::string label = fs::path(path).stem().string();
  for (char& c : label)
    if (c == '-' || c == '_') c = ' ';
  return clean_caption(label);
}

struct Samples {
  std::vector<std::string> paths, labels;
  std::vector<Image> pictures;
};

class Demo {
 public:
  Demo(const DemoOptions& o) : o_(o), out_(o.out), start_(std::chrono::steady_clock::now()), opened_(open_model(o.open)) {
    settle(o_.draw, opened_.loaded.sampling);
    precision_ = arithmetic();
    done("open", fmt::format("{}, {:.1f} M parameters, {}, {} threads", opened_.loaded.path,
                             double(count_params(*opened_.loaded.model)) / 1e6, precision_, threads()));
    report_["model"] = {{"file", opened_.loaded.path}, {"xxh3", hex64(opened_.loaded.hash)}, {"precision", precision_}};
  }

  void draw_pictures() {
    make_folder((out_ / "drawn").string());
    std::vector<DrawRequest> requests;
    for (const char* prompt : kPrompts) requests.push_back({prompt_ids(opened_.tokenizer(), prompt), {}, requests.size() + 1});
    const int S = opened_.size();
    const auto pixels = draw(opened_.model(), opened_.tokenizer(), requests, o_.draw);
    DrawnMeta meta;
    meta.take(o_.draw);
    meta.width = meta.height = S;
    meta.precision = precision_, meta.model = opened_.name, meta.model_hash = hex64(opened_.loaded.hash);
    meta.version = kVersion;
    std::vector<std::pair<Image, std::string>> cells;
    for (size_t i = 0; i < requests.size(); ++i) {
      cells.emplace_back(finished(pixels.data() + i * size_t(S * S * 4), S, S, o_.draw.finish), kPrompts[i]);
      meta.prompt = kPrompts[i], meta.seed = int64_t(requests[i].seed);
      const std::string path = (out_ / "drawn" / file_name(i, meta.prompt)).string();
      write_file_atomic(path, encode_png(cells[i].first, drawn_texts(meta)));
      report_["drawn"].push_back({{"prompt", meta.prompt}, {"seed", meta.seed}, {"file", path}});
    }
    write_page(out_ / "grid.png", cells, 8);
    done("draw", fmt::format("{} prompts, {} steps, {}x{} pixels", cells.size(), o_.draw.steps, S, S));
  }

  // Before anything is drawn. What cannot be read is named and left out.
  void load_pictures() {
    const std::string folder = find_samples(o_.pictures);
    bad_ = for_pictures({folder}, opened_.size(), [&](const auto& paths, const auto& images) {
      samples_.paths.insert(samples_.paths.end(), paths.begin(), paths.end());
      samples_.pictures.insert(samples_.pictures.end(), images.begin(), images.end());
      for (const auto& path : paths) samples_.labels.push_back(label_of(path));
    });
    if (samples_.paths.size() < 2) refuse(folder, ": two pictures or more that can be read are needed to choose between");
  }

  void read_pictures() {
    CaptionOptions korean;
    korean.korean = true;
    const auto en = caption_pictures(opened_.model(), opened_.tokenizer(), samples_.pictures);
    const auto ko = caption_pictures(opened_.model(), opened_.tokenizer(), samples_.pictures, korean);
    done("caption", fmt::format("{} pictures, in English and Korean", samples_.paths.size()));

    std::vector<std::string> labels = samples_.labels;  // two pictures may share a name: a.png, a.jpg
    std::sort(labels.begin(), labels.end());
    labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
    const Classifier classify(opened_.model(), opened_.tokenizer(), labels);
    const auto probabilities = classify(samples_.pictures);
    size_t right = 0;
    std::vector<std::pair<Image, std::string>> cells;
    for (size_t i = 0; i < samples_.paths.size(); ++i) {
      const auto& p = probabilities[i];
      const size_t best = size_t(std::max_element(p.begin(), p.end()) - p.begin());
      right += labels[best] == samples_.labels[i];
      Json all;
      for (size_t l = 0; l < labels.size(); ++l) all[labels[l]] = p[l];
      report_["read"].push_back({{"file", samples_.paths[i]},
                                 {"caption", en[i].text},
                                 {"caption_ko", ko[i].text},
                                 {"name", samples_.labels[i]},
                                 {"label", labels[best]},
                                 {"probabilities", all}});
      cells.emplace_back(samples_.pictures[i], en[i].text + " / " + ko[i].text);
    }
    report_["classified_right"] = right;
    write_page(out_ / "read.png", cells, 6);
    done("classify", fmt::format("{} of {} got their own name out of {} (by chance {:.0f})", right, samples_.paths.size(),
                                 labels.size(), double(samples_.paths.size()) / double(labels.size())));
  }

  void search_pictures() {
    PictureIndex index;
    index.rows = embed_pictures(opened_.model(), samples_.pictures);
    for (size_t i = 0; i < samples_.paths.size(); ++i) index.item.push_back(int64_t(i));
    const std::vector<std::string> queries(std::begin(kQueries), std::end(kQueries));
    const Tensor words = embed_texts(opened_.model(), opened_.tokenizer(), queries);
    const int64_t E = words.dim(1);
    const int64_t most = std::min<int64_t>(5, int64_t(samples_.paths.size()));
    std::vector<std::pair<Image, std::string>> cells;
    for (size_t q = 0; q < queries.size(); ++q) {
      Image asked(kCell, kCell);
      draw_text(asked, std::max(0, (kCell - text_width(queries[q], 14)) / 2), kCell / 2 - 7, queries[q], 14, 0x000000ff);
      cells.emplace_back(asked, "");
      Json best = Json::array();
      for (const Hit& h : nearest(index, words.data() + int64_t(q) * E, most)) {
        const size_t i = size_t(h.item);
        cells.emplace_back(samples_.pictures[i], fmt::format("{} {:.2f}", samples_.labels[i], h.cosine));
        best.push_back({{"file", samples_.paths[i]}, {"cosine", h.cosine}});
      }
      report_["search"].push_back({{"query", queries[q]}, {"best", best}});
    }
    write_page(out_ / "search.png", cells, int(most) + 1);
    done("search", fmt::format("{} queries over {} pictures", queries.size(), samples_.paths.size()));
  }

  const std::vector<BadPicture>& bad() const { return bad_; }

  void finish() {
    report_["seconds"] = seconds_;
    const std::string text = report_.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    write_file((out_ / "captions.json").string(), text);
    if (o_.json) {
      std::fputs(text.c_str(), stdout);
      return;
    }
    std::error_code none;
    const std::string exe = fs::proximate(fs::read_symlink("/proc/self/exe", none), none).string();
    std::printf("\n");
    for (const auto& [file, what] : {std::pair{"grid.png", "the prompts and what was drawn"},
                                     {"drawn/", "each drawing, with its prompt and seed inside"},
                                     {"read.png", "pictures and their captions"},
                                     {"search.png", "queries and what was found"},
                                     {"captions.json", "all of it, with probabilities and times"}})
      fmt::print("{:<24} {}\n", (out_ / file).string(), what);
    std::printf(
        "\nTry next:\n"
        "  %s generate \"a pink star\" -n 4 --grid -o star.png\n"
        "  %s caption YOUR.png --lang both\n"
        "  %s search FOLDER \"red\"\n"
        "  %s --help\n",
        exe.c_str(), exe.c_str(), exe.c_str(), exe.c_str());
  }

 private:
  // Says how long the step took that ends here.
  void done(const char* step, const std::string& what) {
    const auto now = std::chrono::steady_clock::now();
    const double s = std::chrono::duration<double>(now - start_).count();
    start_ = now, seconds_[step] = s;
    std::fprintf(o_.json ? stderr : stdout, "%-9s%6.2f s  %s\n", step, s, what.c_str());
    std::fflush(stdout);
  }

  DemoOptions o_;
  fs::path out_;
  std::chrono::steady_clock::time_point start_;
  Opened opened_;
  std::string precision_;
  Samples samples_;
  std::vector<BadPicture> bad_;
  Json report_, seconds_;
};

}  // namespace

void add_demo_verb(CLI::App& app) {
  auto* verb = app.add_subcommand("demo", "draw 16 prompts; caption, classify and search pictures never trained on");
  auto o = std::make_shared<DemoOptions>();
  verb->add_option("--out", o->out, "folder to write to")->capture_default_str();
  verb->add_option("--pictures", o->pictures, "pictures to read, their names are the labels (default: assets/samples)");
  add_draw_options(verb, o->draw);
  verb->add_flag("--json", o->json, "print captions.json; the lines go to standard error");
  add_open_options(verb, o->open);
  verb->footer("  duet demo --out demo");
  verb->callback([o] {
    find_samples(o->pictures);  // before the model is opened
    Demo demo(*o);
    demo.load_pictures();
    demo.draw_pictures();
    demo.read_pictures();
    demo.search_pictures();
    demo.finish();
    refuse_if_any(demo.bad());
  });
}

}  // namespace duet

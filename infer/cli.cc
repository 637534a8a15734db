#include "infer/cli.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>

#include "infer/koreanhelp.h"
#include "infer/reader.h"
#include "infer/sampler.h"
#include "infer/search.h"
#include "kernels/error.h"
#include "kernels/parallel.h"
#include "kernels/quote.h"
#include "text/korean.h"
#include "text/nearest.h"
#include "text/unicode.h"
#include "vision/codec.h"
#include "vision/dicom.h"

namespace duet {
namespace {

// On a terminal, of UTF-8 that is ASCII or Hangul, which is two wide.
size_t columns(const std::string& s) {
  size_t n = 0;
  for (const char c : s) n += uint8_t(c) < 0x80 ? 1 : uint8_t(c) >= 0xc0 ? 2 : 0;
  return n;
}

// Options as people read them: "-n,--count INT (=1)"; what is allowed stands in the words beside.
struct PlainHelp : CLI::Formatter {
  std::string make_option_opts(const CLI::Option* o) const override {
    if (o->get_type_size() == 0) return "";
    const std::string type = o->get_type_name(), value = o->get_default_str();
    return " " + get_label(type.substr(0, type.find(':'))) + (value.empty() ? "" : " (=" + value + ")");
  }
  std::string make_option(const CLI::Option* o, bool positional) const override {  // CLI11's own counts bytes
    std::string line = "  " + make_option_name(o, positional) + make_option_opts(o);
    if (columns(line) >= column_width_) line += "\n" + std::string(column_width_, ' ');
    else line.append(column_width_ - columns(line), ' ');
    return line + make_option_desc(o) + "\n";
  }
};

void set_help(CLI::App& app, const std::shared_ptr<PlainHelp>& help) {
  app.formatter(help);
  for (CLI::App* verb : app.get_subcommands({})) set_help(*verb, help);
}

// What could not be printed is lost, and whoever reads it must not take the rest for the whole.
int flushed(int code) {
  errno = 0;
  if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return code;
  if (errno == 0) std::fputc('\n', stdout), std::fflush(stdout);  // it failed earlier: once more, for the reason
  say(join("standard output: cannot write: ", errno ? std::strerror(errno) : "a write failed",
           "; what was printed is cut short, free some space or write elsewhere"));
  return code ? code : 1;
}

void refuse_unless_writable(const std::string& option, const std::string& path, const std::filesystem::path& folder) {
  if (access(folder.c_str(), W_OK | X_OK) != 0)
    refuse(option, " ", path, ": ", folder.string(), ": ", std::strerror(errno), "; name a place where you may write");
}

}  // namespace

void set_up(CLI::App& app) {
  app.description(
      "duet: one model that draws pictures from words and reads pictures into words.\n"
      "Trains, evaluates and runs; English and Korean. 'duet VERB --help' tells more.\n\n"
      "  duet generate \"a red circle above a blue star\" -o circle.png\n"
      "  duet caption photos/*.jpg --lang ko\n"
      "  duet search photos \"고양이\"");
  app.set_version_flag("--version", std::string("duet ") + kVersion);
  app.require_subcommand(1);
  add_verbs(app);
}

void add_verbs(CLI::App& app) {
  add_demo_verb(app);
  add_draw_verbs(app);
  add_read_verbs(app);
  add_serve_verb(app);
  add_search_verbs(app);
  add_weights_verbs(app);
  add_eval_verbs(app);
  add_train_verb(app);
  add_plan_verb(app);
  add_data_verbs(app);
  add_tokenizer_verbs(app);
}

// The verb that is asked for, as far as it is known: "duet eval generate"; and what the program has of it.
static std::pair<std::string, const CLI::App*> verb_of(const CLI::App& app) {
  std::pair<std::string, const CLI::App*> at{"duet", &app};
  while (!at.second->get_subcommands().empty())
    at.second = at.second->get_subcommands().front(), at.first += " " + at.second->get_name();
  return at;
}

static std::vector<std::string> long_options(const CLI::App& app) {
  std::vector<std::string> out;
  for (const CLI::Option* o : app.get_options())
    for (const auto& name : o->get_lnames()) out.push_back("--" + name);
  return out;
}

static std::vector<const CLI::App*> verbs_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

// The verbs below `app` that have the option, by name; empty: none.
static std::string owner_of(const CLI::App& app, const std::string& name, const std::string& option) {
  for (const CLI::App* v : verbs_of(app)) {
    const std::string verb = name + " " + v->get_name();
    if (std::ranges::count(long_options(*v), option)) return verb;
    if (const std::string below = owner_of(*v, verb, option); !below.empty()) return below;
  }
  return "";
}

static std::string unknown_option(const CLI::App& at, const std::string& verb, const std::string& word) {
  const std::string name = word.substr(0, word.find('='));
  const std::string_view meant = likely_meant(long_options(at), name);
  return meant.empty() ? join("unknown option ", shown(word), "; '", verb, " --help' tells more")
                       : join("unknown option ", shown(word), "; did you mean ", meant);
}

// What is wrong with the verbs, or with an option before the last of them; empty: nothing.
static std::string unknown_verb(const CLI::App& app, int argc, const char* const* argv) {
  const CLI::App* at = &app;
  std::string before = "duet";
  for (int i = 1; i < argc; ++i) {
    const auto verbs = verbs_of(*at);
    if (verbs.empty()) return "";
    const std::string word = argv[i];
    if (word.starts_with("-")) {
      const std::string name = word.substr(0, word.find('='));
      if (!name.starts_with("--") || std::ranges::count(long_options(*at), name)) return "";
      if (const std::string owner = owner_of(*at, before, name); !owner.empty())
        return join(name, " belongs after '", owner, "'");
      return unknown_option(*at, before, word);
    }
    std::vector<std::string> names;
    const CLI::App* next = nullptr;
    for (const CLI::App* v : verbs) {
      names.push_back(v->get_name());
      if (names.back() == word) next = v;
    }
    if (!next) {
      std::string all;
      for (const auto& n : names) all += (all.empty() ? "" : ", ") + n;
      const std::string_view meant = likely_meant(names, word);
      return join("no verb ", shown((before + " " + word).substr(5)), "; ", meant.empty() ? "there are " : "did you mean ",
                  meant.empty() ? all : meant);
    }
    at = next, before += " " + word;
  }
  return "";
}

// CLI11 names what is left over in reverse; a person wants the first, and what it should have been.
static std::string unknown_argument(const CLI::App& app) {
  const auto [verb, at] = verb_of(app);
  const std::vector<std::string> left = app.remaining(true);
  for (const auto& word : left)
    if (word.starts_with("-")) return unknown_option(*at, verb, word);
  return join("one argument too many: ", left.empty() ? "" : shown(left.front()), "; words that belong together need quotes");
}

// Wrong usage in one line: the help is longer than a screen, and what was wrong would be out of sight.
std::string usage_failure(const CLI::App* app, const CLI::Error& e) {
  const bool two = e.get_name() == "ExcludesError";
  const std::string said =
      join(e.what(), two ? "; leave one of the two out" : "", "; '", verb_of(*app).first, " --help' tells more");
  return join("duet: ", korean_terminal() ? in_korean(said) : said, "\n");
}

int run_program(CLI::App& app, int argc, const char* const* argv) {
  app.name("duet");
  app.failure_message(usage_failure);
  const auto help = std::make_shared<PlainHelp>();
  set_help(app, help);
  if (korean_terminal()) help_in_korean(app, *help);
  if (const std::string strange = unknown_verb(app, argc, argv); !strange.empty()) return say(strange), 2;
  try {
    app.parse(argc, argv);
  } catch (const CLI::ExtrasError&) {
    return say(unknown_argument(app)), 2;
  } catch (const CLI::ParseError& e) {
    return flushed(app.exit(e) == 0 ? 0 : 2);
  } catch (const std::filesystem::filesystem_error& e) {  // its own words are the library's, not a person's
    std::fflush(stdout);
    say(join(e.path1().string(), ": ", e.code().message(), "; may it be read and written here?"));
    return 1;
  } catch (const std::exception& e) {
    std::fflush(stdout);
    say(e.what());
    return 1;
  }
  return flushed(0);
}

CLI::Validator within(double least, double most) {
  CLI::Validator v(join("FLOAT in [", least, " - ", most, "]"));
  v.operation([=](const std::string& words) {
    double x = 0;
    const bool number = CLI::detail::lexical_cast(words, x);
    return number && x >= least && x <= most ? "" : join(words, " is not a number within ", least, " to ", most);
  });
  return v;
}

void check_target(const std::string& option, const std::string& path) {
  std::error_code none;
  std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (folder.empty()) folder = ".";
  if (!std::filesystem::is_directory(folder, none))
    refuse(option, " ", path, ": no folder ", folder.string(), "; make it first");
  if (std::filesystem::is_directory(path, none)) refuse(option, " ", path, ": is a folder; name a file");
  refuse_unless_writable(option, path, folder);
}

void check_folder_target(const std::string& option, const std::string& path) {
  std::error_code none;
  std::filesystem::path there = std::filesystem::absolute(path);
  while (there.has_relative_path() && !std::filesystem::exists(there, none)) there = there.parent_path();
  if (!std::filesystem::is_directory(there, none)) refuse(option, " ", path, ": ", there.string(), " is a file; name a folder");
  refuse_unless_writable(option, path, there);
}

void check_png_target(const std::string& option, const std::string& path, const char* why) {
  std::string end = std::filesystem::path(path).extension().string();
  for (char& c : end) c = char(std::tolower(uint8_t(c)));
  if (end != ".png") refuse(option, " ", path, ": duet writes PNG", why, "; let the name end in .png");
  check_target(option, path);
}

void add_device_option(CLI::App* verb, std::string& device) {
  verb->add_option("--device", device, "cuda, cpu, or auto: cuda where a card answers")
      ->check(CLI::IsMember({"auto", "cuda", "cpu"}))
      ->capture_default_str();
}

void add_open_options(CLI::App* verb, OpenOptions& o) {
  verb->add_option("--weights", o.weights,
                   join("model folder or .safetensors, or the name of weights that ship: ", kShippedWeights,
                        " (default: $DUET_WEIGHTS, else ", kUsualWeights, ")"));
  add_device_option(verb, o.device);
  verb->add_option("--precision", o.precision,
                   "f32, bf16, fp16 (AVX-512 FP16), or auto: bf16 on a card; on a CPU what is fastest there")
      ->check(CLI::IsMember({"auto", "f32", "bf16", "fp16"}))
      ->capture_default_str();
  verb->add_option(
          "--quantize", o.quantize,
          "the blocks' weights in fewer bits, a little less exact: none; int8, which is faster on a CPU with AVX-512 VNNI; on "
          "a card int8, fp8 or int4, which take a quarter to a sixth of the memory")
      ->check(CLI::IsMember({"none", "int8", "int4", "fp8"}))
      ->capture_default_str();
  verb->add_option("--threads", o.threads, "threads; 0: all")->check(CLI::Range(0, 1024))->capture_default_str();
}

void add_draw_options(CLI::App* verb, DrawOptions& o) {
  leave_open(o);
  verb->add_option("--steps", o.steps, "steps from noise to picture; fewer are faster (default: as the weights say, else 24)")
      ->check(CLI::Range(1, 1000));
  verb->add_option("--guidance", o.guidance,
                   "how strictly to follow the words; 1: as it comes (default: as the weights say, else 5)")
      ->check(within(0, 100));
  verb->add_option("--guide-from", o.guide_from, "guidance from this time on; noise is 0, the picture 1")
      ->check(within(0, 1))
      ->capture_default_str();
  verb->add_option("--guide-to", o.guide_to, "guidance up to this time; steps without it take half as long")
      ->check(within(0, 1))
      ->capture_default_str();
  verb->add_option("--shift", o.shift,
                   "above 1: more of the steps near noise, below 1: near the picture (default: as the weights say, else 3)")
      ->check(within(0.05, 20));
  verb->add_option_function<std::string>(
          "--finish", [&o](const std::string& name) { o.finish = finish_of(name); },
          "clean: flat colour without mottle, clear background, clean edges; raw: as the model drew it (default: clean)")
      ->check(CLI::IsMember({"clean", "raw"}));
  verb->add_flag("--heun", o.heun, "second-order steps: twice the time a step, fewer steps needed");
}

void check_draw_options(const DrawOptions& o) {
  if (o.guide_from > o.guide_to)
    refuse("--guide-from ", o.guide_from, " is above --guide-to ", o.guide_to, "; for no guidance at all say --guidance 1");
}

const std::string& utf8_or_refuse(const char* what, const std::string& text) {
  if (const size_t at = broken_utf8(text); at != text.npos)
    refuse(what, ": ", shown_byte(text, at), " is not UTF-8; type it in a UTF-8 terminal, or convert it with iconv");
  return text;
}

Calibration calibration_for(const std::string& path, const Opened& opened) {
  Calibration c = load_calibration(path);
  if (c.weights_xxh3 != hex64(opened.loaded.hash))
    refuse(path, ": was learnt of other weights than ", opened.loaded.path,
           "; learn it anew: duet eval classify ... --calibrate FILE");
  return c;
}

CLI::Option* add_window_option(CLI::App* app, std::string& window) {
  return app->add_option("--window", window,
                         "CENTER/WIDTH of grey DICOM instead of each file's own, in the units of its values (CT of the lung: "
                         "-600/1500); of whatever modality");
}

std::optional<Window> window_of(const std::string& text) {
  if (text.empty()) return {};
  Window w;
  const char *end = text.data() + text.size(), *slash = std::find(text.data(), end, '/');
  const auto center = std::from_chars(text.data(), slash, w.center);
  if (slash == end || center.ec != std::errc() || center.ptr != slash || !std::isfinite(w.center))
    refuse("--window ", shown(text), ": expected CENTER/WIDTH, for example -600/1500");
  const auto width = std::from_chars(slash + 1, end, w.width);
  if (width.ec != std::errc() || width.ptr != end || !std::isfinite(w.width) || w.width <= 0)
    refuse("--window ", shown(text), ": a width above 0 is expected after the /");
  return w;
}

bool names_picture(const std::string& s) {
  std::error_code none;
  return std::filesystem::exists(s, none) || has_picture_name(s);
}

std::vector<BadPicture> for_pictures(
    const std::vector<std::string>& given, int size,
    const std::function<void(const std::vector<std::string>&, const std::vector<Image>&)>& piece, const Limits& limits,
    const std::string& not_below) {
  namespace fs = std::filesystem;
  std::error_code none;
  const std::string shut = not_below.empty() ? "" : fs::weakly_canonical(not_below, none).string() + "/";
  const auto apart = [&](const std::string& path) {
    return !shut.empty() && fs::weakly_canonical(path, none).string().starts_with(shut);
  };
  constexpr size_t kPiece = 16;
  std::vector<BadPicture> bad;
  const auto blame = [&](const std::string& path, const std::string& why) {
    say(why);
    bad.push_back({path, why});
  };
  std::vector<std::string> paths;
  std::vector<bool> of_folder;
  for (const auto& g : given) {
    try {
      const bool folder = std::filesystem::is_directory(g);
      for (auto& p : list_pictures(g))
        if (!folder || !apart(p)) paths.push_back(std::move(p)), of_folder.push_back(folder);
    } catch (const Error& e) {
      blame(g, e.what());
    }
  }
  for (size_t first = 0; first < paths.size(); first += kPiece) {
    const size_t n = std::min(kPiece, paths.size() - first);
    std::vector<std::optional<Image>> read(n);
    std::vector<std::string> why(n);
    std::vector<char> passed(n);  // a report beside the pictures of a DICOM folder, say
    parallel_for(int64_t(n), [&](int64_t i) {
      try {
        read[size_t(i)] = model_view(load_image(paths[first + size_t(i)], limits), size);
      } catch (const DicomHoldsNone& e) {
        why[size_t(i)] = e.what(), passed[size_t(i)] = of_folder[first + size_t(i)];
      } catch (const Error& e) {
        why[size_t(i)] = e.what();
      }
    });
    std::vector<std::string> names;
    std::vector<Image> images;
    for (size_t i = 0; i < n; ++i) {
      if (read[i]) names.push_back(paths[first + i]), images.push_back(std::move(*read[i]));
      else if (passed[i]) say("passed over: " + why[i]);
      else blame(paths[first + i], why[i]);
    }
    if (!images.empty()) piece(names, images);
  }
  return bad;
}

void refuse_if_any(const std::vector<BadPicture>& bad) {
  if (!bad.empty()) refuse(bad.size(), " could not be read (named above); the rest, if there is any, is done");
}

}  // namespace duet

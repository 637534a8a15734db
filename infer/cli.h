// The command line, one file a group of verbs. Each adds its verbs to the program; run_program runs the one that is named.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "infer/calibration.h"
#include "infer/open.h"
#include "vision/codec.h"
#include "vision/image.h"

namespace duet {

struct DrawOptions;  // infer/sampler.h

void set_up(CLI::App&);     // the whole program: what it says of itself, --version, all verbs
void add_verbs(CLI::App&);  // all of these, in the order in which --help lists them
void add_data_verbs(CLI::App&);
void add_tokenizer_verbs(CLI::App&);
void add_train_verb(CLI::App&);
void add_plan_verb(CLI::App&);
void add_demo_verb(CLI::App&);
void add_draw_verbs(CLI::App&);  // generate
void add_read_verbs(CLI::App&);  // caption, classify, embed
void add_serve_verb(CLI::App&);
void add_search_verbs(CLI::App&);   // search
void add_weights_verbs(CLI::App&);  // info, quantize, merge
void add_eval_verbs(CLI::App&);     // eval scenes, binding, icons, retrieval, classify, caption, generate
void add_generate_eval(CLI::App* eval);

// Exit codes: 0 done, 1 refused or failed (one line on stderr says what and how to mend it), 2 wrong usage.
int run_program(CLI::App&, int argc, const char* const* argv);

// Of an option's number: as CLI::Range, and what is not a number is refused too.
CLI::Validator within(double least, double most);

// Before the work: refuses a file to write whose folder is not there, naming the option; of a picture also a name that
// does not end in .png (why: what follows "duet writes PNG").
void check_target(const std::string& option, const std::string& path);
void check_folder_target(const std::string& option, const std::string& path);  // of a folder that will be made
void check_png_target(const std::string& option, const std::string& path, const char* why = "");

void add_device_option(CLI::App*, std::string& device);  // --device
// --weights, --device, --precision, --quantize, --threads
void add_open_options(CLI::App*, OpenOptions&);

void add_draw_options(CLI::App*, DrawOptions&);  // --steps, --guidance, --guide-from, --guide-to, --shift, --finish, --heun
void check_draw_options(const DrawOptions&);     // refuses an interval that ends before it begins

// The text, or a refusal that names the first byte that is not UTF-8.
const std::string& utf8_or_refuse(const char* what, const std::string& text);

// Read from a file; refuses one of other weights.
Calibration calibration_for(const std::string& path, const Opened&);

// Whether an argument that may be a text or a picture is a picture: there is such a file or folder, or it is named like one.
bool names_picture(const std::string& argument);

// Pictures named on a command line, folders opened, decoded in pieces of at most 16 and given to `piece` with their paths.
// A bad one is named on stderr and left out; the others go on. Returns how many were bad. not_below: a folder whose pictures
// are passed over where they come with one that is opened.
struct BadPicture {
  std::string path, why;
};
std::vector<BadPicture> for_pictures(
    const std::vector<std::string>& files_and_folders, int size,
    const std::function<void(const std::vector<std::string>& paths, const std::vector<Image>& images)>& piece,
    const Limits& limits = {}, const std::string& not_below = "");
// --window CENTER/WIDTH, and what it says; empty: none. Refuses what is no window.
CLI::Option* add_window_option(CLI::App*, std::string& window);
std::optional<Window> window_of(const std::string& text);
void refuse_if_any(const std::vector<BadPicture>&);  // at the end of a verb: exit 1

}  // namespace duet

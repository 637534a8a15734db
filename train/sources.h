// Where pictures with captions come from. Each source walks its packages or files in a fixed order and hands over one
// Candidate after the other; what it leaves out it counts by reason. Drawing is put off until the builder wants it.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fusion/shards.h"
#include "train/fetch.h"
#include "vision/codec.h"

namespace duet {

struct Candidate {
  std::string key;                      // unique within its source: letters, digits, '-', '_' and '/'
  Meta meta;                            // as it will be written; at least one caption
  std::string subject;                  // the concept that decides the split (train/words.h); empty: concept_of(meta.caption)
  std::string split;                    // train, val, heldout or pairs where the source decides; else empty
  int64_t held = 0;                     // bytes that `draw` holds, where they are many
  bool ready = false;                   // the picture is composed at its size: no trimming, and equals may repeat (scenes)
  std::function<Image(int size)> draw;  // any shape, about `size` pixels or larger; throws Error; called from many threads
};

struct SourceReport {
  std::string name, license;
  std::vector<Package> packages;
  int64_t found = 0;                       // pictures looked at
  std::map<std::string, int64_t> dropped;  // reason -> how many
  std::vector<std::string> examples;       // "REASON: WHICH" of the first few of each reason
  int64_t asked = 0, matched = 0;          // one's own pictures whose names --together was tried on; that it fitted
  int64_t nameless = 0;                    // DICOM files without a patient's id
  int64_t nested = 0;                      // one's own pictures in a folder of a folder, with nothing that keeps them together
  std::string nested_in;                   // such a folder
  int64_t burned_in = 0;                   // pictures whose DICOM says that words of the patient are in the pixels
};
// Counts one that is left out, and names it while there are few of its reason.
void leave_out(SourceReport&, const std::string& reason, const std::string& which);

using Sink = std::function<void(Candidate&&)>;

// Of a person's own pictures.
struct OwnOptions {
  // A regular expression (ECMAScript); pictures whose names have the same match, or the same first ( ) of it, are in one split:
  // "patient[0-9]+" keeps the slices of a patient together. Empty or no match: each picture for itself. The match is the
  // picture's Meta::unit; a folder of such a name is no category and no caption. DICOM without a match, or a unit in its JSON,
  // has its patient (id and issuer) as unit, under a number that is given out in order and means nothing elsewhere.
  std::string together = {};
  double val = 0.05;                  // share of the pictures (or of what is kept together) that is val, above 0; 1: all
  double heldout = 0;                 // and that is heldout, for a last report; with val at most 1
  bool folder_captions = false;       // a picture without words is captioned with the name of its folder
  std::optional<Window> window = {};  // of DICOM, see Limits
  bool stratify = false;              // each category has these shares of its own (train/division.h); files are read twice
};

struct SourceOptions {
  std::string cache;        // of packages, see train/fetch.h
  int64_t scenes = 20000;   // training scenes; a twentieth of it for val and as many for heldout, 64 at least
  uint64_t seed = 1;        // of the scenes
  std::string styles = {};  // of tables, see find_table
  OwnOptions own = {};
};

// Each refuses when its packages cannot be fetched or do not look as expected.
void find_emoji(const SourceOptions&, const Sink&, SourceReport&);  // Noto colour emoji, CLDR names in two languages
void find_emojione(const SourceOptions&, const Sink&,
                   SourceReport&);                                     // EmojiOne's pictures of ruby-gemojione, the same names
void find_flags(const SourceOptions&, const Sink&, SourceReport&);     // flags of countries, CLDR names in two languages
void find_themes(const SourceOptions&, const Sink&, SourceReport&);    // named things of Oxygen, Breeze and Papirus
void find_stamps(const SourceOptions&, const Sink&, SourceReport&);    // Tux Paint stamps, sentences in two languages
void find_clipart(const SourceOptions&, const Sink&, SourceReport&);   // Open Clip Art Library, titles of the SVGs
void find_cartoons(const SourceOptions&, const Sink&, SourceReport&);  // art4apps pictures of pysiogame, file names
void find_icons(const SourceOptions&, const Sink&,
                SourceReport&);                                      // Bootstrap icons; Papirus folders by colour and emblem
void find_scenes(const SourceOptions&, const Sink&, SourceReport&);  // vision/scene.h, made on the spot

// A person's own pictures (PNG, JPEG, WebP; DICOM, of which each frame is one): a folder of pictures (fusion/cocojson.h), a
// folder of WebDataset tars or one tar (splits in train/, val/, heldout/, pairs/ are kept), or "captions.json" in COCO's
// format, with ":FOLDER" when the pictures are not beside it. Captions of one's own pictures often repeat (class names), so
// shares of the pictures, and not of the words, are val and heldout (a twentieth and none unless the options say otherwise).
void find_own(const std::string& path, const OwnOptions&, const Sink&, SourceReport&);

// "table:FOLDER/NAME.tsv": pictures (PNG, JPEG, WebP, SVG) in FOLDER and a table of them: UTF-8, tab-separated, a line
// of column names first. `file` (below FOLDER) and one of `en`, `name`, `ko` are needed; `en_keywords` or `tags`,
// `ko_keywords` ("|" between them), `group` or `categories` (the first counts) and `style` are read; others are passed
// over. What styles are called, of whom and under which licence says a second table, `styles` of the options or else
// styles.tsv beside the first: columns folder, style, word, ko, license, source. The first row counts whose `folder`
// (the start of `file`, "phosphor") and `style` are the picture's; an empty cell fits all. Without such rows a style is
// called what the table calls it. Concepts are the English names, without a last "outline", "filled" or "variant".
// Refuses a table without those columns; rows at fault are counted, with examples.
void find_table(const std::string& table, const SourceOptions&, const Sink&, SourceReport&);
bool is_table_source(const std::string& name);  // starts with "table:"

bool is_builtin_source(const std::string& name);
std::string builtin_sources();  // "emoji, stamps ..."
// `name` is a built-in name, table:PATH or a path. Refuses what is neither, naming the built-in ones.
void find_source(const std::string& name, const SourceOptions&, const Sink&, SourceReport&);

// CLDR names are made for lists ("flag: Norway", "woman: red hair"); people ask in plainer words as well: adds those.
void plainer_words(Meta&);

// Whether "flag: NAME" is a territory that flies the flag of its state: the picture belongs to the state.
bool borrowed_flag(const std::string& name);

// A file of a package, for the sources: PNG, JPEG, WebP or SVG, told by its extension; caps before decoding.
Image draw_file(const std::string& path, int size);

// Files below a folder with one of the extensions (lower case, with dot), as sorted paths relative to it; follows no
// links out of it. Refuses a folder that is not there, naming the package it should be in.
std::vector<std::string> files_below(const std::string& folder, const std::vector<std::string>& extensions);

}  // namespace duet

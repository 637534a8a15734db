#include <cstdio>
#include <iostream>

#include "infer/cli.h"
#include "kernels/error.h"
#include "text/bpetrain.h"
#include "text/corpus.h"
#include "text/tokenizer.h"
#include "text/unicode.h"
#include "train/databuild.h"
#include "train/datashow.h"
#include "train/sources.h"

namespace duet {

void add_data_verbs(CLI::App& app) {
  auto* data = app.add_subcommand("data", "build and look at data sets");
  data->require_subcommand(1);
  auto* build = data->add_subcommand("build", "turn sources into WebDataset shards of pictures with captions");
  static BuildOptions o;
  build
      ->add_option(
          "SOURCE", o.sources,
          builtin_sources() + "; or yours: a folder, a tar, COCO JSON[:FOLDER of its pictures], or table:FOLDER/NAME.tsv")
      ->required();
  build->add_option("--out", o.out, "folder to make")->required();
  build->add_option("--size", o.size, "pixels a side")->capture_default_str();
  build->add_option("--cache", o.cache, "where downloaded packages are kept");
  build->add_option("--styles", o.styles, "what the styles of table: sources are called (default: styles.tsv beside each)")
      ->check(CLI::ExistingFile);
  build->add_option("--scenes", o.scenes, "how many procedural scenes")->capture_default_str();
  build->add_option("--limit", o.limit, "at most so many pictures of each source; 0: all")->capture_default_str();
  build->add_option("--seed", o.seed, "of the scenes")->capture_default_str();
  build->add_option("--together", o.together,
                    "of your own pictures: a regular expression; what has the same match in its name is in one split, so "
                    "'patient[0-9]+' keeps a patient's slices out of val that were trained on");
  build
      ->add_option("--val", o.val,
                   "of your own pictures: the share that is kept apart as val, each picture (patient) by chance; 1: all")
      ->capture_default_str();
  build
      ->add_option(
          "--heldout", o.heldout,
          "of your own pictures: the share that is kept apart besides, for the last report: neither trained on nor chosen by")
      ->capture_default_str();
  build->add_flag("--stratify", o.stratify,
                  "of your own pictures: each category (folder) has the shares --val and --heldout of its own, by whole "
                  "patients, and not by chance; files are read twice");
  build->add_flag("--folder-captions", o.folder_captions,
                  "of your own pictures: one without words is captioned with the name of its folder");
  static std::string window;
  add_window_option(build, window);
  build->callback([] {
    o.window = window_of(window);
    build_data(o, std::cout);
  });

  auto* show = data->add_subcommand("show", "a contact sheet of a data set");
  struct Show {
    std::string dir, png = "sheet.png", split = "train";
    int count = 64;
    bool compose = false;
  };
  const auto s = std::make_shared<Show>();
  show->add_option("DIR", s->dir, "data set")->required();
  show->add_option("-o,--out", s->png, "PNG to write")->capture_default_str();
  show->add_option("-n,--count", s->count, "pictures")->capture_default_str();
  show->add_option("--split", s->split, "train, val, heldout or pairs")->capture_default_str();
  show->add_flag("--compose", s->compose, "compositions that training makes of the pictures, instead of the pictures");
  show->callback([s] {
    check_png_target("-o", s->png);
    (s->compose ? show_compositions : show_data)(s->dir, s->png, s->count, s->split);
    std::printf("%s\n", s->png.c_str());
  });
}

void add_tokenizer_verbs(CLI::App& app) {
  auto* tok = app.add_subcommand("tokenizer", "train and use a byte-level BPE tokenizer (Hugging Face tokenizer.json)");
  tok->require_subcommand(1);
  static std::string file, out;
  static std::vector<std::string> texts;
  static int vocab = 4096;
  auto* train = tok->add_subcommand("train", "learn a vocabulary from text files, one text a line");
  train->add_option("TEXT", texts, "text files")->required()->check(CLI::ExistingFile);
  train->add_option("--vocab", vocab, "tokens, bytes and special ones included")->capture_default_str();
  train->add_option("-o,--out", out, "tokenizer.json to write")->required();
  train->callback([] {
    std::vector<std::string> lines;
    for (const auto& t : texts) {
      size_t line = 0;
      for_each_line(t, [&](std::string_view l) {
        ++line;
        if (const size_t at = broken_utf8(l); at != l.npos)
          refuse(t, ": line ", line, ", ", shown_byte(l, at), " is not UTF-8; convert the file with iconv");
        lines.emplace_back(l);
      });
    }
    const Tokenizer t = train_bpe(lines, vocab);
    t.save(out);
    std::printf("%d tokens from %zu lines: %s\n", t.size(), lines.size(), out.c_str());
  });
  auto* encode = tok->add_subcommand("encode", "text from standard input to ids");
  encode->add_option("TOKENIZER", file, "tokenizer.json")->required();
  encode->callback([] {
    const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
    const Tokenizer t = Tokenizer::load(file);
    const char* space = "";
    for (int id : t.encode(text)) std::printf("%s%d", space, id), space = " ";
    std::printf("\n");
  });
  auto* decode = tok->add_subcommand("decode", "ids from standard input to text");
  decode->add_option("TOKENIZER", file, "tokenizer.json")->required();
  decode->callback([] {
    const Tokenizer t = Tokenizer::load(file);
    std::vector<int> ids;
    for (int id; std::cin >> id;) {
      if (id < 0 || id >= t.size()) refuse("standard input: id ", id, " is not of ", file, " (0 to ", t.size() - 1, ")");
      ids.push_back(id);
    }
    if (!std::cin.eof()) refuse("standard input: ids are numbers with spaces between");
    const std::string s = t.decode(ids);
    std::fwrite(s.data(), 1, s.size(), stdout);
  });
}

}  // namespace duet

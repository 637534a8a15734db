// The command line, one file a group of verbs. Each adds its verbs to the program; main runs the one that was named.
#pragma once
#include <CLI/CLI.hpp>

namespace duet {

void add_data_verbs(CLI::App&);
void add_tokenizer_verbs(CLI::App&);
void add_train_verb(CLI::App&);
void add_draw_verbs(CLI::App&);

}  // namespace duet

// What --help says, in Korean. It is written in English where the verbs are (infer/cli*.cc); here it is turned by a table.
#pragma once
#include <CLI/CLI.hpp>
#include <span>

#include "text/koreanmessages.h"

namespace duet {

// The words of the program and of all its verbs (descriptions, footers, headings), and the labels of what formats them.
void help_in_korean(CLI::App&, CLI::FormatterBase&);

std::span<const KoreanMessage> korean_help();    // whole texts; {}: what varies, such as the names of weights
std::span<const KoreanMessage> korean_labels();  // CLI11's own: headings and names of types

}  // namespace duet

#include "infer/cli.h"

namespace duet {
void add_draw_verbs(CLI::App&) {}
}  // namespace duet

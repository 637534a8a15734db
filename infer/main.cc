#include "infer/cli.h"

int main(int argc, char** argv) {
  CLI::App app{
      "duet: one model that draws pictures from words and reads pictures into words.\n"
      "Trains, evaluates and runs; English and Korean. 'duet VERB --help' tells more.\n\n"
      "  duet generate \"a red circle above a blue star\" -o circle.png\n"
      "  duet caption photos/*.jpg --lang ko\n"
      "  duet search photos \"고양이\""};
  app.set_version_flag("--version", std::string("duet ") + duet::kVersion);
  app.require_subcommand(1);
  duet::add_verbs(app);
  return duet::run_program(app, argc, argv);
}

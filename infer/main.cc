#include <cstdio>

#include "infer/cli.h"
#include "kernels/error.h"

// Exit codes: 0 done, 1 refused or failed (one line on stderr says what and how to mend it), 2 wrong usage.
int main(int argc, char** argv) {
  CLI::App app{
      "duet: one model that draws pictures from words and reads pictures into words.\n"
      "Trains, evaluates and runs; English and Korean. 'duet VERB --help' tells more."};
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::help);
  duet::add_data_verbs(app);
  duet::add_tokenizer_verbs(app);
  duet::add_train_verb(app);
  duet::add_draw_verbs(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    const int code = app.exit(e);
    return code == 0 ? 0 : 2;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "duet: %s\n", e.what());
    return 1;
  }
  return 0;
}

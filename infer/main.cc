#include "infer/cli.h"

int main(int argc, char** argv) {
  CLI::App app;
  duet::set_up(app);
  return duet::run_program(app, argc, argv);
}

#include <malloc.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>

#include "infer/api.h"
#include "infer/cli.h"
#include "kernels/error.h"
#include "kernels/files.h"

namespace duet {
namespace {

struct ServeOptions {
  std::string host = "127.0.0.1", key_file;
  std::vector<std::string> hosts;
  int port = 8080, queue = 64;
  double timeout = 300;
  std::string window, calibration;
  OpenOptions open;
};

// One key a line; empty lines and those that begin with # do not count.
std::vector<std::string> read_keys(const std::string& path) {
  std::vector<std::string> keys;
  const std::string text = read_file(path, 1 << 16);
  for (size_t at = 0, line = 1; at < text.size(); ++line) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string key = text.substr(at, end - at);
    at = end + 1;
    while (!key.empty() && (key.back() == '\r' || key.back() == ' ')) key.pop_back();
    if (key.empty() || key[0] == '#') continue;
    if (key.size() < 16)
      refuse(path, " line ", line, ": a key of ", key.size(),
             " bytes is too easily guessed; 16 or more, for example from 'openssl rand -hex 24'");
    for (const char c : key)
      if (c < 0x21 || c > 0x7e) refuse(path, " line ", line, ": a key is printable ASCII without spaces");
    keys.push_back(std::move(key));
  }
  if (keys.empty()) refuse(path, ": holds no key; write one a line, for example from 'openssl rand -hex 24'");
  return keys;
}

bool only_here(const std::string& host) { return host.starts_with("127.") || host == "::1"; }

// Each connection takes one; many systems begin with 1024.
void allow_many_descriptors() {
  rlimit l{};
  if (getrlimit(RLIMIT_NOFILE, &l) == 0) l.rlim_cur = l.rlim_max, setrlimit(RLIMIT_NOFILE, &l);
}

void serve(const ServeOptions& o) {
  ApiOptions api_options;
  if (!o.key_file.empty()) api_options.keys = read_keys(o.key_file);
  if (!only_here(o.host) && o.key_file.empty())
    refuse("--host ", o.host,
           ": others could reach this server; give it a key with --api-key-file FILE (one key a line), or leave it on "
           "127.0.0.1");
  api_options.hosts = o.hosts, api_options.timeout = o.timeout, api_options.window = window_of(o.window);
  Decoder decoder(decode_strangers);  // before there are threads, and a model in memory
  mallopt(M_ARENA_MAX, 4);            // many threads that take and give large blocks in turn
  allow_many_descriptors();
  const Opened opened = open_model(o.open);
  if (!o.calibration.empty()) {
    api_options.calibration = calibration_for(o.calibration, opened);
    api_options.window = api_options.calibration->window;
  }
  struct stat file {};
  const int64_t created = stat(opened.loaded.path.c_str(), &file) == 0 ? int64_t(file.st_mtime) : 0;
  Engine engine(opened.model(), opened.tokenizer(), {.waiting = o.queue});
  Api api({opened.model(), opened.tokenizer(), opened.name, hex64(opened.loaded.hash), created, opened.loaded.sampling,
           opened.loaded.styles},
          engine, api_options);
  api.decoder = &decoder;
  HttpServer server(api, o.host, o.port);
  server.stop_on_signals();
  std::printf("http://%s:%d/\n", o.host.find(':') != std::string::npos ? ("[" + o.host + "]").c_str() : o.host.c_str(),
              server.port());
  std::fflush(stdout);
  std::fprintf(stderr, "duet: serves %s; API as OpenAI's below /v1, description at /openapi.json; Ctrl-C ends\n",
               opened.name.c_str());
  server.run();
  std::fprintf(stderr, "duet: stopped\n");
}

}  // namespace

void add_serve_verb(CLI::App& app) {
  auto* verb = app.add_subcommand("serve", "a web page and an HTTP API (OpenAI's, and part of AUTOMATIC1111's)");
  auto o = std::make_shared<ServeOptions>();
  verb->add_option("--host", o->host, "address to listen on; any but this machine's own needs --api-key-file")
      ->capture_default_str();
  verb->add_option("--port", o->port, "0: a free one, printed")->check(CLI::Range(0, 65535))->capture_default_str();
  verb->add_option("--api-key-file", o->key_file, "keys that are let in, one a line; all routes but /health then need one");
  verb->add_option("--allow-host", o->hosts, "names that people call this server by, beside localhost and addresses");
  verb->add_option("--queue", o->queue, "pictures that may wait")->check(CLI::Range(1, 10000))->capture_default_str();
  verb->add_option("--calibration", o->calibration,
                   "file of 'duet eval classify --calibrate': /v1/classify asks its labels where a request names none, and "
                   "says what their probabilities are worth")
      ->excludes(add_window_option(verb, o->window));
  verb->add_option("--timeout", o->timeout, "seconds a request may take, its wait included")
      ->check(within(1, 86400))
      ->capture_default_str();
  add_open_options(verb, o->open);
  verb->footer(
      "The address goes to standard output. Prompts and pictures are never logged.\n"
      "  duet serve --port 8080\n"
      "  curl http://127.0.0.1:8080/v1/images/generations -H 'Content-Type: application/json' -d '{\"prompt\": \"a red "
      "circle\"}'");
  verb->callback([o] { serve(*o); });
}

}  // namespace duet

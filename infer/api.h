// The HTTP API: which routes there are, who may call them, and what all of them share. The routes themselves are in
// apiimages.cc (draw, edit, vary), apichat.cc, apiread.cc (embed, classify), apisd.cc and apiroutes.cc, which has the
// table.
#pragma once
#include <atomic>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "infer/apiparams.h"
#include "infer/calibration.h"
#include "infer/decoder.h"
#include "infer/engine.h"
#include "infer/httpserver.h"
#include "infer/metrics.h"

namespace duet {

struct ModelInfo {
  const Model& model;
  const Tokenizer& tokenizer;
  std::string name, hash;                // of the weights: their folder, and the XXH3 of the file
  int64_t created = 0;                   // Unix seconds
  Sampling sampling = {};                // where a request leaves it open
  std::vector<std::string> styles = {};  // that the weights know; {}: not known which
};

struct ApiOptions {
  std::vector<std::string> keys;      // none: no key is asked for
  std::vector<std::string> hosts;     // names that a Host header may bear beside localhost and addresses
  double timeout = 300;               // seconds of a request, its wait in the queue included
  int64_t body_limit = 16 << 20;      // bytes
  std::optional<Window> window = {};  // of grey DICOM, see Limits
  // Of these weights: its classes are those of /v1/classify where a request names none, with what they are worth.
  std::optional<Calibration> calibration = {};
};

// A picture within the bounds that strangers' pictures have.
Image decode_strangers(std::span<const uint8_t>, const std::string& name);

class Api;
struct Call {
  Api& api;
  const HttpRequest& request;
  const Params& params;
  Exchange& out;
  std::string tail;  // of a path that ends in {id}
  // Headers will say these: of a style that the weights do not know, of a letter that they cannot read; and values, with ", "
  // between, that were let be.
  std::string strange_style{}, unread{}, ignored{};
  void send(const nlohmann::ordered_json&) const;  // status 200
  // Server-sent events: "event: NAME" (where there is one) and "data: JSON". False: the client is gone.
  void begin_events() const;
  bool event(const std::string& name, const nlohmann::ordered_json&) const;

 private:
  void remarks(Headers&) const;  // on what was asked and not followed
};

struct Route {
  const char *method, *path, *summary;
  void (*handler)(Call&);
  std::vector<Field> fields = {};
  bool forms = false;  // takes multipart/form-data too
  bool body = false;   // needs one
  bool quick = false;  // see HttpService::Plan
  bool open = false;   // needs no key
};
const std::vector<Route>& routes();
nlohmann::ordered_json openapi(const ModelInfo&);

class Api final : public HttpService {
 public:
  Api(const ModelInfo&, Engine&, ApiOptions);
  Plan admit(const HttpRequest&) override;
  void handle(const HttpRequest&, Exchange&) override;
  void served(const HttpRequest&, int status, double seconds) override;

  // Gives the task to the engine and its events, but for the last one, to `each` (false: cancel). Returns the finished
  // event; any other end is an HttpError: 400, 429 with Retry-After, 499, 500, 504. The client's leaving cancels.
  Event run(const Call&, Task, const std::function<bool(Event&)>& each = {});
  // JPEG, PNG, WebP or DICOM, by `bytes` of parameter `param`; what cannot be read is HttpError 400, what ends its decoder 422.
  Image picture(std::span<const uint8_t> bytes, const std::string& param);
  // From a data URL, or plain base64. An address to fetch is refused: nothing is ever fetched.
  std::vector<uint8_t> inline_bytes(const std::string& url, const std::string& param);

  const ModelInfo model;
  Engine& engine;
  const ApiOptions options;
  Metrics metrics;

  // What /sdapi/v1/progress tells: of each client's drawing that began last.
  struct Progress {
    std::weak_ptr<Job> job;
    double done = 0;  // 0 .. 1
    Clock::time_point start;
    Event shown{.kind = Event::preview};  // the last one
  };
  std::mutex progress_mutex;
  std::map<std::string, Progress> progress;  // by client
  Decoder* decoder = nullptr;                // of pictures from clients; none: this process decodes them

 private:
  bool key_fits(std::string_view authorization) const;
  void check_origin(const HttpRequest&) const;
};

}  // namespace duet

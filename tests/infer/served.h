// A server in this process, with a tiny model, on a free port, and what its tests say to it and look for.
#pragma once
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "infer/api.h"
#include "infer/base64.h"
#include "kernels/files.h"
#include "tests/infer/httpclient.h"
#include "tests/infer/tiny.h"

namespace duet {

using Json = nlohmann::json;

struct Served {
  std::unique_ptr<Model> model = tiny_model();
  Engine engine;
  Api api;
  HttpServer server;
  const int port;
  std::thread thread;
  explicit Served(ApiOptions o = {}, HttpLimits limits = {}, EngineLimits e = {}, const Sampling& s = {},
                  std::vector<std::string> styles = {})
      : engine(*model, tiny_tokenizer(), e),
        api({*model, tiny_tokenizer(), "tiny", "0123456789abcdef", 7, s, std::move(styles)}, engine, std::move(o)),
        server(api, "127.0.0.1", 0, limits),
        port(server.port()),
        thread([this] { server.run(); }) {}
  ~Served() {
    server.stop();
    thread.join();
  }
  // A picture that keeps the engine busy until the job is dropped.
  std::unique_ptr<Job> occupy() {
    auto job = engine.submit(DrawTask{{{{3}, {}, 1}}, {.steps = 10'000'000}, nullptr, 10'000'000}, "other",
                             Clock::now() + std::chrono::hours(1));
    job->next();
    return job;
  }
};

struct HttpTest : testing::Test {
  std::unique_ptr<Served> served;
  void start(ApiOptions o = {}, HttpLimits limits = {}, EngineLimits e = {}) {
    served = std::make_unique<Served>(std::move(o), limits, e);
  }
  Reply call(const std::string& method, const std::string& path, const std::string& body = "", const Lines& headers = {}) {
    if (!served) start();
    Client c(served->port);
    c.say(request_text(method, path, body, headers));
    return take_reply(c);
  }
  Reply get(const std::string& path) { return call("GET", path); }
  Json ok(const Reply& r) {
    EXPECT_EQ(r.status, 200) << r.body.substr(0, 300);
    EXPECT_TRUE(r.headers.count("x-request-id"));
    return Json::parse(r.body, nullptr, false);
  }
  Json post(const std::string& path, const Json& body) { return ok(call("POST", path, body.dump())); }
  // Refused with this status and parameter, in OpenAI's shape.
  void refused(const Reply& r, int status, const std::string& param = "") {
    EXPECT_EQ(r.status, status) << r.body.substr(0, 300);
    const Json j = Json::parse(r.body, nullptr, false);
    ASSERT_TRUE(j.is_object() && j.contains("error")) << r.body.substr(0, 300);
    for (const char* key : {"message", "type", "param", "code"}) EXPECT_TRUE(j["error"].contains(key)) << key;
    EXPECT_EQ(j["error"]["param"], param.empty() ? Json(nullptr) : Json(param)) << j.dump();
    EXPECT_TRUE(r.headers.count("x-request-id"));
  }
  void refused(const std::string& path, const Json& body, const std::string& param) {
    SCOPED_TRACE(path + " " + body.dump().substr(0, 100));
    refused(call("POST", path, body.dump()), 400, param);
  }
};

inline std::vector<uint8_t> bytes_of(const Json& base64) {
  const auto b = from_base64(base64.get<std::string>());
  EXPECT_TRUE(b);
  return b.value_or(std::vector<uint8_t>{});
}
inline Image image_of(const Json& base64) { return decode_image(bytes_of(base64), "reply"); }
inline std::string url_of(const Image& i) { return "data:image/png;base64," + to_base64(encode_png(i)); }

inline std::string form(const std::vector<std::pair<std::string, std::string>>& parts,
                        const std::map<std::string, Image>& files) {
  std::string s;
  for (const auto& [name, value] : parts)
    s += "--XX\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n";
  for (const auto& [name, image] : files)
    s += "--XX\r\nContent-Disposition: form-data; name=\"" + name +
         "\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n" + std::string(as_text(encode_png(image))) + "\r\n";
  return s + "--XX--\r\n";
}
inline const Lines kForm = {{"Content-Type", "multipart/form-data; boundary=XX"}};

inline std::vector<Json> events_of(const std::string& body) {
  std::vector<Json> out;
  for (size_t at = 0; (at = body.find("data: ", at)) != std::string::npos;) {
    const size_t end = body.find('\n', at);
    const std::string data = body.substr(at + 6, end - at - 6);
    if (data != "[DONE]") out.push_back(Json::parse(data, nullptr, false));
    at = end;
  }
  return out;
}

}  // namespace duet

// The server among people who mean no good, are slow, many, or leave: keys, bounds, time, and its own end.
#include "infer/httpserver.h"
#include "tests/infer/served.h"

namespace duet {
namespace {

TEST_F(HttpTest, KeysHostsAndOrigins) {
  start({.keys = {"correct-horse-battery"}, .hosts = {"duet.lan"}});
  EXPECT_EQ(get("/health").status, 200);
  for (const Route& r : routes()) {
    if (r.open) continue;
    for (const char* key : {"", "Bearer ", "Bearer wrong", "Bearer correct-horse-batter", "Bearer correct-horse-battery2",
                            "Basic !!", "correct-horse-battery"}) {
      const Reply reply = call(r.method, r.path, "", {{"Authorization", key}});
      EXPECT_EQ(reply.status, 401) << r.path << ' ' << key;
    }
  }
  EXPECT_EQ(get("/").status, 200);  // the page's files hold no secret, and the page is where the key is given
  EXPECT_EQ(get("/nothing").status, 401);
  EXPECT_EQ(call("GET", "/v1/models", "", {{"Authorization", "Bearer correct-horse-battery"}}).status, 200);
  const std::string basic = "anyone:correct-horse-battery";
  EXPECT_EQ(call("GET", "/v1/models", "", {{"Authorization", "Basic " + to_base64(as_bytes(basic))}}).status, 200);
  for (const char* host : {"evil.example", "localhost.evil.example", "duet.lan.evil.example", ""})
    EXPECT_EQ(call("GET", "/health", "", {{"Host", host}}).status, 403) << host;
  for (const char* host : {"localhost:8080", "127.0.0.1", "192.168.0.7:80", "duet.lan", "[::1]:8080"})
    EXPECT_EQ(call("GET", "/health", "", {{"Host", host}}).status, 200) << host;
  for (const char* origin : {"null", "http://evil.example", "http://localhost:1", "https://localhost.evil.example"})
    refused(call("GET", "/health", "", {{"Origin", origin}}), 403);
  const Reply same = call("GET", "/health", "", {{"Origin", "http://localhost"}});
  EXPECT_EQ(same.status, 200);
  EXPECT_FALSE(same.headers.count("access-control-allow-origin"));
}

TEST_F(HttpTest, BodiesAndHeadersHaveBounds) {
  ApiOptions o;
  o.body_limit = 1 << 20;
  start(o);
  refused(call("POST", "/v1/images/edits", "", {{"Content-Length", "50000000"}}), 413);
  refused(call("POST", "/v1/images/edits", "", {{"Content-Length", "99999999999999"}}), 413);
  refused(call("POST", "/v1/images/edits", "x", {{"Content-Encoding", "gzip"}}), 415);
  const auto raw = [&](const std::string& text, int times = 1) {
    Client c(served->port);
    for (int i = 0; i < times && c.say(text); ++i) {
    }
    return take_reply(c, 20).status;
  };
  const std::string chunked =
      "POST /v1/images/edits HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: "
      "chunked\r\n\r\n";
  EXPECT_EQ(raw(chunked + "-2\r\nabc"), 400);
  std::string much = chunked;
  for (int i = 0; i < 3; ++i) much += "80000\r\n" + std::string(0x80000, 'z') + "\r\n";
  EXPECT_EQ(raw(much + "0\r\n\r\n"), 413);
  EXPECT_EQ(raw("GET /" + std::string(40000, 'a') + " HTTP/1.1\r\nHost: localhost\r\n\r\n"), 431);
  std::string headers = "GET /health HTTP/1.1\r\nHost: localhost\r\n";
  for (int i = 0; i < 1000; ++i) headers += "X-" + std::to_string(i) + ": " + std::string(60, 'y') + "\r\n";
  EXPECT_EQ(raw(headers + "\r\n"), 431);
  EXPECT_EQ(raw("GET /health HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(raw("GET /health HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n"), 400);
  EXPECT_EQ(raw("GET health HTTP/1.1\r\nHost: localhost\r\n\r\n"), 400);
  EXPECT_EQ(raw("GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n"), 200);
}

// An answer to HEAD has the other's head and no body: what follows on the connection is the next answer.
TEST_F(HttpTest, HeadHasNoBody) {
  start();
  Client c(served->port);
  for (const char* path : {"/health", "/", "/v1/nothing"}) {
    c.say(request_text("HEAD", path));
    ASSERT_TRUE(c.hear_until("\r\n\r\n"));
    const int status = std::atoi(c.got.c_str() + 9);
    const size_t head = c.got.find("\r\n\r\n");
    const std::string length = "Content-Length: " + std::to_string(get(path).body.size());
    EXPECT_LT(c.got.find(length), head) << length << " in " << c.got;
    c.got.erase(0, head + 4);
    EXPECT_EQ(status, get(path).status);
    if (status != 200) break;  // the connection ends
    c.say(request_text("GET", "/health"));
    EXPECT_EQ(take_reply(c).body, get("/health").body) << path;
  }
  EXPECT_TRUE(c.ended());
  EXPECT_EQ(c.got, "");
}

// Random bytes, and good requests with some bytes changed: an answer or a closed connection, and a server that lives.
TEST_F(HttpTest, GarbageIsRefused) {
  start({}, {.header_seconds = 0.3, .body_seconds = 0.3});
  const std::string good =
      request_text("POST", "/v1/images/generations", R"({"prompt": "a red circle", "n": 1, "steps": 1, "seed": 1})");
  for (uint64_t i = 0; i < 200; ++i) {
    std::string text = good;
    if (i % 4 == 0) {
      text.resize(1 + mix(i, 1) % 3000);
      for (size_t b = 0; b < text.size(); ++b) text[b] = char(mix(i, 2 + b));
    } else {
      for (uint64_t k = 0; k <= i % 5; ++k) text[mix(i, k) % text.size()] = char(mix(i, 100 + k));
    }
    Client c(served->port);
    c.say(text);
    const Reply r = take_reply(c, 20);
    EXPECT_TRUE(r.status == 0 || (r.status >= 200 && r.status < 500)) << i << ": " << r.status << ' ' << r.body;
    EXPECT_TRUE(r.status != 0 || c.ended(20)) << i;
  }
  EXPECT_EQ(get("/health").status, 200);
}

TEST_F(HttpTest, SlowClientsAreSentAwayAndOthersServed) {
  start({}, {.header_seconds = 1, .body_seconds = 1, .write_seconds = 1});
  std::vector<Client> slow;
  for (int i = 0; i < 200; ++i) {
    slow.emplace_back(served->port);
    slow.back().say(i % 2 ? "GET /health HTTP/1.1\r\nX: "
                          : "POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                            "application/json\r\nContent-Length: 100\r\n\r\n{");
  }
  std::vector<double> times;
  for (int i = 0; i < 50; ++i) {
    const auto start = Clock::now();
    EXPECT_EQ(get("/health").status, 200);
    times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  std::sort(times.begin(), times.end());
  RecordProperty("health_ms_of_50_worst", int(times.back() * 1000));
  EXPECT_LT(times[times.size() / 2], 0.5);
  Client silent(served->port);
  for (size_t i = 0; i < slow.size(); ++i) {
    refused(take_reply(slow[i]), 408);
    EXPECT_TRUE(slow[i].ended()) << i;
  }
  EXPECT_TRUE(silent.ended());
  EXPECT_EQ(silent.got, "") << "who asked nothing is told nothing";
}

TEST_F(HttpTest, FullMeansTryLater) {
  start({}, {}, {.waiting = 2, .rows = 1});
  const auto job = served->occupy();
  std::vector<Client> waiting;
  for (int i = 0; i < 2; ++i) {
    waiting.emplace_back(served->port);
    waiting.back().say(request_text("POST", "/v1/images/generations", R"({"prompt": "a", "steps": 1})"));
  }
  for (int i = 0; i < 1000 && served->engine.stats().waiting < 2; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  const Reply r = call("POST", "/v1/images/generations", R"({"prompt": "a", "steps": 1})");
  refused(r, 429);
  EXPECT_GE(std::stoi(r.headers.at("retry-after")), 1);
  EXPECT_EQ(get("/health").status, 200);
  job->cancel();
  for (Client& c : waiting) EXPECT_EQ(take_reply(c).status, 200);
}

TEST_F(HttpTest, LeavingCancels) {
  start();
  for (int i = 0; i < 100; ++i) {
    Client c(served->port);
    c.say(request_text("POST", i % 2 ? "/v1/images/generations" : "/sdapi/v1/txt2img",
                       i % 4 == 1 ? R"({"prompt": "a", "steps": 200, "stream": true, "partial_images": 10})"
                                  : R"({"prompt": "a", "steps": 200})"));
    std::this_thread::sleep_for(std::chrono::microseconds(mix(1, uint64_t(i)) % 3000));
  }
  const auto idle = [&] {
    const EngineStats s = served->engine.stats();
    return s.waiting + s.drawing == 0 && served->server.active() == 0 && served->server.connections() == 0;
  };
  for (int i = 0; i < 1000 && !idle(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_TRUE(idle()) << "a place is still taken";
  EXPECT_GT(served->engine.stats().cancelled, 0);
}

TEST_F(HttpTest, TooLateIsATimeout) {
  ApiOptions o;
  o.timeout = 0.2;
  start(o, {}, {.rows = 1});
  const auto job = served->occupy();
  const Reply r = call("POST", "/v1/images/generations", R"({"prompt": "a", "steps": 1, "size": "48x48"})");
  refused(r, 504);
  EXPECT_EQ(r.headers.at("x-should-retry"), "false");
}

TEST_F(HttpTest, TheEndWaitsForWhatWasAccepted) {
  start();
  Client c(served->port);
  c.say(request_text("POST", "/v1/images/generations", R"({"prompt": "a", "steps": 60, "stream": true, "partial_images": 1})"));
  ASSERT_TRUE(c.hear_until("partial_image"));
  served.reset();
  const Reply r = take_reply(c);
  EXPECT_NE(r.body.find("image_generation.completed"), std::string::npos);
}

}  // namespace
}  // namespace duet

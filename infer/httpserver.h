// HTTP/1.1 over TCP: one network thread reads, checks and writes; handlers run on a few threads of their own and may
// wait. Every wait for a client has an end, every buffer a bound.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "infer/http.h"

namespace duet {

struct HttpService {
  virtual ~HttpService() = default;
  struct Plan {
    int64_t body_limit = 0;  // bytes
    bool quick = false;      // answered on the network thread: no waiting, next to no work
  };
  // With the head alone. Refuses with HttpError. On the network thread.
  virtual Plan admit(const HttpRequest& head) = 0;
  // An HttpError becomes its answer, any other exception status 500 with the request's id.
  virtual void handle(const HttpRequest&, Exchange&) = 0;
  // When an answer begins to leave, or without a status (0) when the client left before.
  virtual void served(const HttpRequest&, int status, double seconds) = 0;
};

struct HttpLimits {
  int connections = 1200;
  int active = 80;  // requests in handlers; beyond: 429
  int header_bytes = 16 << 10;
  int64_t body_bytes = 256 << 20;  // of all requests together; beyond: 429
  double header_seconds = 10, body_seconds = 60, write_seconds = 30, idle_seconds = 60;
  double drain_seconds = 30;  // for accepted requests after stop()
};

class HttpServer {
 public:
  // Binds and listens; port 0 takes a free one. Refuses an address or port that cannot be had.
  HttpServer(HttpService&, const std::string& host, int port, const HttpLimits& = {});
  ~HttpServer();
  int port() const;
  void run();              // until stop(); requests that were accepted are answered first, within drain_seconds
  void stop();             // from any thread, also from a signal of `stop_on_signals`; a second time: at once
  void stop_on_signals();  // SIGTERM and SIGINT
  int connections() const;
  int active() const;

 private:
  struct Net;
  std::unique_ptr<Net> net_;
};

}  // namespace duet

// Requests and answers on the wire, by Boost.Beast: what infer/httpserver.cc reads and writes them with.
#pragma once
#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "infer/http.h"

namespace duet::wire {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using tcp = net::ip::tcp;
using Stream = beast::basic_stream<tcp, net::any_io_executor>;
using Parser = http::request_parser<http::string_body>;

constexpr auto kQuiet = net::as_tuple(net::use_awaitable);  // errors as values

inline std::chrono::nanoseconds seconds(double s) { return std::chrono::nanoseconds(int64_t(s * 1e9)); }

// Of a head that was read. Refuses (HttpError) what is ambiguous or packed.
HttpRequest head_of(const Parser&, const std::string& client, const std::string& id);

// For reading a request: what takes longer ends with operation_aborted, and the connection stays open for an answer.
class Patience {
 public:
  Patience(Stream& s, double longest) : shared_(std::make_shared<Shared>(&s)), timer_(s.get_executor()) {
    s.expires_never();
    timer_.expires_after(seconds(longest));
    timer_.async_wait([shared = shared_](beast::error_code moved) {
      if (!moved && shared->stream) shared->late = true, shared->stream->cancel();
    });
  }
  ~Patience() { shared_->stream = nullptr; }
  // Of the reading's error: that it took too long.
  beast::error_code operator()(beast::error_code e) const {
    return e && shared_->late ? beast::error_code(beast::error::timeout) : e;
  }

 private:
  struct Shared {
    Stream* stream;  // none: it was read in time
    bool late = false;
    explicit Shared(Stream* s) : stream(s) {}
  };
  std::shared_ptr<Shared> shared_;
  net::steady_timer timer_;
};

// The answer to a request that could not be read.
HttpError broken_request(beast::error_code);

// bare: without its body, as HEAD asks
net::awaitable<beast::error_code> write_whole(Stream&, http::response<http::string_body>&, bool bare);

}  // namespace duet::wire

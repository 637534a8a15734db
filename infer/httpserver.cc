#include "infer/httpserver.h"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <optional>
#include <random>
#include <set>

#include "infer/httpwire.h"

namespace duet {
namespace {

using namespace wire;
using namespace net::experimental::awaitable_operators;

constexpr double kLinger = 2;                             // seconds, after the last answer
constexpr size_t kDropped = 32 << 20, kPiece = 16 << 10;  // bytes that are read in them

std::string new_id() {
  static thread_local std::mt19937_64 random{std::random_device{}()};
  char id[24];
  std::snprintf(id, sizeof id, "req_%016llx", static_cast<unsigned long long>(random()));
  return id;
}

}  // namespace

struct HttpServer::Net {
  HttpService& service;
  HttpLimits limits;
  std::atomic<int> connections{0}, active{0};
  // Of the network thread. Connections end as late as with `io`, so what they touch stands before it.
  std::set<Exchange*> unanswered;
  bool stopping = false, over = false;
  int64_t body_bytes = 0;
  net::io_context io{1};
  net::thread_pool workers;
  tcp::acceptor acceptor{io};
  net::signal_set signals{io};
  net::steady_timer drained{io};

  Net(HttpService& s, const HttpLimits& l) : service(s), limits(l), workers(size_t(l.active)) {}

  void stop() {
    if (stopping) return io.stop();
    stopping = true;
    beast::error_code e;
    acceptor.close(e);
    stop_in(unanswered.empty() ? 0 : limits.drain_seconds);
  }
  void await_signal() {
    signals.async_wait([this](beast::error_code e, int) {
      if (e) return;
      await_signal();  // a second one ends at once
      stop();
    });
  }
  void stop_in(double s) {
    drained.expires_after(seconds(s));
    drained.async_wait([this](beast::error_code moved) {
      if (!moved) io.stop();
    });
  }
  void answered(Exchange* e) {
    e->gone();
    unanswered.erase(e);
    if (unanswered.empty() && stopping && !over) stop_in(0.05);  // the last bytes are on their way
  }

  net::awaitable<void> accept();
  net::awaitable<void> session(Stream);
  net::awaitable<bool> serve(Stream&, beast::flat_buffer&, const std::string& client, bool first);
  net::awaitable<void> answer(Stream&, Exchange&, net::steady_timer&, const http::request<http::string_body>&, bool& keep,
                              int& status, const std::string& id);
  net::awaitable<void> watch(Stream&);
  struct Held {  // bytes that a request's body may take, of all that may be taken
    int64_t& all;
    int64_t own = 0;
    ~Held() { all -= own; }
  };
  // What is wrong with a request by its head alone; none: the plan is made, and room for the body is held.
  std::optional<HttpError> check_head(Parser&, const std::string& client, const std::string& id, HttpRequest&,
                                      HttpService::Plan&, Held&);
  net::awaitable<bool> refuse_with(Stream&, const HttpError&, const std::string& id, Language, bool bare);
  void start(std::shared_ptr<HttpRequest>, std::shared_ptr<Exchange>);
  void run_handler(const HttpRequest&, Exchange&);
};

net::awaitable<void> HttpServer::Net::accept() {
  for (;;) {
    auto [e, socket] = co_await acceptor.async_accept(kQuiet);
    if (!acceptor.is_open()) co_return;
    if (e) {  // out of descriptors: some will be given back
      net::steady_timer wait(io, seconds(0.05));
      co_await wait.async_wait(kQuiet);
      continue;
    }
    if (connections >= limits.connections) continue;  // closes
    beast::error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    net::co_spawn(io, session(Stream(std::move(socket))), net::detached);
  }
}

net::awaitable<void> HttpServer::Net::session(Stream stream) {
  struct Count {
    std::atomic<int>& n;
    explicit Count(std::atomic<int>& n) : n(n) { ++n; }
    ~Count() { --n; }
  } count(connections);
  beast::flat_buffer buffer(size_t(limits.header_bytes) + (64 << 10));
  beast::error_code e;
  const auto peer = stream.socket().remote_endpoint(e);
  const std::string client = e ? "" : peer.address().to_string();
  try {
    for (bool first = true; co_await serve(stream, buffer, client, first); first = false)
      if (stopping) break;
  } catch (const std::exception&) {  // the connection broke
  }
  stream.socket().shutdown(tcp::socket::shutdown_send, e);
  // What the client still sends is read and dropped for a while: closing at once could reset the answer on its way.
  buffer.clear();
  stream.expires_after(seconds(kLinger));
  for (size_t dropped = 0; dropped < kDropped;) {
    auto [err, n] = co_await stream.async_read_some(buffer.prepare(kPiece), kQuiet);
    if (err || n == 0) break;
    dropped += n;
  }
}

net::awaitable<bool> HttpServer::Net::refuse_with(Stream& stream, const HttpError& error, const std::string& id,
                                                  Language language, bool bare) {
  if (!stream.socket().is_open()) co_return false;  // a time that ran out has closed it
  http::response<http::string_body> r{http::int_to_status(unsigned(error.status)), 11};
  r.set(http::field::content_type, "application/json");
  r.set("x-request-id", id);
  r.set("X-Content-Type-Options", "nosniff");
  for (const auto& [k, v] : error_headers(error, language)) r.set(k, v);
  r.keep_alive(false);
  r.body() = error_json(error, language);
  r.prepare_payload();
  stream.expires_after(seconds(limits.write_seconds));
  co_await write_whole(stream, r, bare);
  co_return false;
}

std::optional<HttpError> HttpServer::Net::check_head(Parser& parser, const std::string& client, const std::string& id,
                                                     HttpRequest& request, HttpService::Plan& plan, Held& held) {
  try {
    request = head_of(parser, client, id);
    plan = service.admit(request);
  } catch (const HttpError& e) {
    return e;
  }
  const auto length = parser.content_length();
  if (length && int64_t(*length) > plan.body_limit)
    return HttpError(413, join("the body has ", *length, " bytes; this route takes ", plan.body_limit));
  held.own = length ? int64_t(*length) : parser.chunked() ? plan.body_limit : 0;
  if ((body_bytes += held.own) > limits.body_bytes)
    return HttpError(429, "too many large requests at a time; try again soon", {}, "server_busy", 1);
  return std::nullopt;
}

// One request and its answer; true: another may follow on this connection.
net::awaitable<bool> HttpServer::Net::serve(Stream& stream, beast::flat_buffer& buffer, const std::string& client, bool first) {
  const std::string id = new_id();
  Parser parser;
  parser.header_limit(std::uint32_t(limits.header_bytes));
  parser.body_limit(std::uint64_t(1) << 40);  // set by the plan, before any of the body is read
  {
    const Patience patience(stream, first || buffer.size() ? limits.header_seconds : limits.idle_seconds);
    auto [failed, n] = co_await http::async_read_header(stream, buffer, parser, kQuiet);
    const beast::error_code e = patience(failed);
    const bool nothing = buffer.size() == 0 && !parser.got_some();
    if (e == http::error::end_of_stream || (e == beast::error::timeout && nothing)) co_return false;
    if (e) {
      service.served({}, broken_request(e).status, 0);
      co_return co_await refuse_with(stream, broken_request(e), id, Language::english, false);
    }
  }
  const auto began = std::chrono::steady_clock::now();
  auto request = std::make_shared<HttpRequest>();
  const auto accept = parser.get()[http::field::accept_language];  // a head that is refused has one, too
  const Language language = language_of({accept.data(), accept.size()});
  HttpService::Plan plan;
  Held held{body_bytes};
  std::optional<HttpError> error = check_head(parser, client, id, *request, plan, held);
  if (!error) {
    parser.body_limit(std::uint64_t(plan.body_limit));
    if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
      http::response<http::empty_body> go{http::status::continue_, 11};
      stream.expires_after(seconds(limits.write_seconds));
      co_await http::async_write(stream, go, kQuiet);
    }
    const Patience patience(stream, limits.body_seconds);
    auto [e, n] = co_await http::async_read(stream, buffer, parser, kQuiet);
    if (e) error = broken_request(patience(e));
  }
  if (error) {
    service.served(*request, error->status, 0);
    co_return co_await refuse_with(stream, *error, id, language, parser.get().method() == http::verb::head);
  }
  request->body = std::move(parser.get().body());

  auto exchange = std::make_shared<Exchange>();
  net::steady_timer wake(io, net::steady_timer::time_point::max());
  bool keep = parser.get().keep_alive();
  int status = 0;
  unanswered.insert(exchange.get());
  struct Done {
    Net& net;
    std::shared_ptr<Exchange> exchange;
    ~Done() { net.answered(exchange.get()); }
  } done{*this, exchange};
  // The timer lives as long as this frame, which closes the exchange before it goes.
  exchange->set_notify([this, &wake, weak = std::weak_ptr(exchange)] {
    net::post(io, [&wake, weak] {
      if (const auto alive = weak.lock(); alive && !alive->closed()) wake.cancel_one();
    });
  });
  if (plan.quick) {
    run_handler(*request, *exchange);
  } else if (active >= limits.active) {
    const HttpError full(429, "too many requests at a time; try again soon", {}, "server_busy", 1);
    exchange->send(full.status, "application/json", error_json(full, language), error_headers(full, language));
  } else {
    start(request, exchange);
  }
  co_await (answer(stream, *exchange, wake, parser.get(), keep, status, id) || watch(stream));
  service.served(*request, status, std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
  co_return keep&& status != 0;
}

void HttpServer::Net::start(std::shared_ptr<HttpRequest> request, std::shared_ptr<Exchange> exchange) {
  ++active;
  net::post(workers, [this, request, exchange] {
    run_handler(*request, *exchange);
    --active;
  });
}

void HttpServer::Net::run_handler(const HttpRequest& request, Exchange& exchange) {
  const Language language = language_of(request.header("accept-language"));
  const auto fail_with = [&](const HttpError& e) {
    if (exchange.begun()) {  // a stream: clients take an event with `error` for its failure
      exchange.write("data: " + error_json(e, language) + "\n\n");
      exchange.end();
    } else {
      exchange.send(e.status, "application/json", error_json(e, language), error_headers(e, language));
    }
  };
  try {
    service.handle(request, exchange);
  } catch (const HttpError& e) {
    fail_with(e);
  } catch (const std::exception&) {
    fail_with({500, "something went wrong in the server; name the request " + request.id + " when you report it"});
  }
}

// Writes what the handler gives until it is whole, or the client takes it too slowly.
net::awaitable<void> HttpServer::Net::answer(Stream& stream, Exchange& exchange, net::steady_timer& wake,
                                             const http::request<http::string_body>& request, bool& keep, int& status,
                                             const std::string& id) {
  const unsigned version = request.version();
  const bool chunked = version >= 11;
  for (;;) {
    Exchange::Output out;
    while (!exchange.take(out)) co_await wake.async_wait(kQuiet);
    stream.expires_after(seconds(limits.write_seconds));
    if (out.head) {
      keep = keep && !stopping && (out.whole || chunked);
      http::response<http::string_body> r{http::int_to_status(unsigned(out.status)), version};
      if (!out.type.empty()) r.set(http::field::content_type, out.type);
      r.set("x-request-id", id);
      r.set("X-Content-Type-Options", "nosniff");
      for (const auto& [k, v] : out.headers) r.set(k, v);
      r.keep_alive(keep);
      if (out.whole) {
        r.body() = std::move(out.body);
        if (out.status != 304) r.prepare_payload();
        if (!co_await write_whole(stream, r, request.method() == http::verb::head)) status = out.status;
        co_return;
      }
      r.chunked(chunked);
      http::response_serializer<http::string_body> head(r);
      auto [e, n] = co_await http::async_write_header(stream, head, kQuiet);
      if (e) co_return;
      continue;
    }
    if (!out.body.empty()) {
      auto [e, n] = chunked ? co_await net::async_write(stream, http::make_chunk(net::buffer(out.body)), kQuiet)
                            : co_await net::async_write(stream, net::buffer(out.body), kQuiet);
      if (e) co_return;
    }
    if (out.last) {
      if (chunked) {
        auto [e, n] = co_await net::async_write(stream, http::make_chunk_last(), kQuiet);
        if (e) co_return;
      }
      status = 200;
      co_return;
    }
  }
}

// Returns when the client has left. Bytes of a next request say that it is still there.
net::awaitable<void> HttpServer::Net::watch(Stream& stream) {
  for (;;) {
    auto [e] = co_await stream.socket().async_wait(tcp::socket::wait_read, kQuiet);
    if (e) co_return;
    char byte;
    beast::error_code peek;
    stream.socket().non_blocking(true, peek);
    const size_t n = stream.socket().receive(net::buffer(&byte, 1), tcp::socket::message_peek, peek);
    if (peek == net::error::would_block) continue;
    if (peek || n == 0) co_return;
    net::steady_timer later(io, seconds(0.2));
    co_await later.async_wait(net::use_awaitable);
  }
}

HttpServer::HttpServer(HttpService& service, const std::string& host, int port, const HttpLimits& limits)
    : net_(std::make_unique<Net>(service, limits)) {
  beast::error_code e;
  const auto address = net::ip::make_address(host, e);
  if (e) refuse("--host ", host, ": not an IP address; 127.0.0.1 serves this machine, 0.0.0.0 every network it is in");
  const tcp::endpoint at(address, static_cast<unsigned short>(port));
  auto& a = net_->acceptor;
  a.open(at.protocol());
  a.set_option(tcp::acceptor::reuse_address(true));
  a.bind(at, e);
  if (e) refuse("--port ", port, " on ", host, ": ", e.message(), "; choose another with --port, or stop what has it");
  a.listen(net::socket_base::max_listen_connections);
  net::co_spawn(net_->io, net_->accept(), net::detached);
}

HttpServer::~HttpServer() { net_->workers.join(); }

int HttpServer::port() const { return net_->acceptor.local_endpoint().port(); }
void HttpServer::run() {
  net_->io.run();
  net_->over = true;
  for (Exchange* e : net_->unanswered) e->gone();  // their handlers must not wait for clients
}
void HttpServer::stop() {
  net::post(net_->io, [n = net_.get()] { n->stop(); });
}
void HttpServer::stop_on_signals() {
  net_->signals.add(SIGTERM), net_->signals.add(SIGINT);
  net_->await_signal();
}
int HttpServer::connections() const { return net_->connections; }
int HttpServer::active() const { return net_->active; }

}  // namespace duet

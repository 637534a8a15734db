#include "infer/httpwire.h"

#include <algorithm>

namespace duet::wire {

HttpRequest head_of(const Parser& parser, const std::string& client, const std::string& id) {
  HttpRequest r;
  r.client = client, r.id = id;
  const auto& h = parser.get();
  r.method = std::string(h.method_string());
  for (const auto& field : h) {
    std::string name(field.name_string());
    for (char& c : name) c = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
    auto& value = r.headers[name];
    value += (value.empty() ? "" : ", ") + std::string(field.value());
  }
  const std::string_view target(h.target().data(), h.target().size());
  if (!target.starts_with('/')) throw HttpError(400, "the request's address must begin with /");
  const size_t query = std::min(target.find('?'), target.size());
  r.path = percent_decoded(target.substr(0, query));
  if (query < target.size()) r.query = std::string(target.substr(query + 1));
  if (h.count(http::field::host) != 1 || h.count(http::field::content_type) > 1 || h.count(http::field::authorization) > 1)
    throw HttpError(400, "one Host header is needed, and at most one Content-Type and Authorization");
  if (h.count(http::field::content_encoding)) throw HttpError(415, "Content-Encoding is not read here; send the body as it is");
  return r;
}

HttpError broken_request(beast::error_code e) {
  if (e == http::error::body_limit) return {413, "the body is larger than this route takes"};
  if (e == http::error::header_limit || e == http::error::buffer_overflow) return {431, "the headers are too large"};
  if (e == beast::error::timeout) return {408, "the request came too slowly"};
  return {400, "the request is no HTTP/1.1 that is understood here: " + e.message()};
}

net::awaitable<beast::error_code> write_whole(Stream& stream, http::response<http::string_body>& r, bool bare) {
  http::response_serializer<http::string_body> out(r);
  if (bare) {
    auto [e, n] = co_await http::async_write_header(stream, out, kQuiet);
    co_return e;
  }
  auto [e, n] = co_await http::async_write(stream, out, kQuiet);
  co_return e;
}

}  // namespace duet::wire

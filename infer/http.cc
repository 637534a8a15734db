#include "infer/http.h"

#include <nlohmann/json.hpp>

#include "text/korean.h"

namespace duet {
namespace {

constexpr size_t kUnsent = 4 << 20;  // bytes that may wait for a slow client before the handler waits with them

const char* type_of(int status) {
  if (status == 401) return "authentication_error";
  if (status == 403) return "permission_error";
  if (status == 404) return "not_found_error";
  if (status == 429) return "rate_limit_error";
  if (status == 503) return "unavailable_error";
  return status < 500 ? "invalid_request_error" : "server_error";
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Language language_of(std::string_view accept_language) {
  return prefers_korean(accept_language) ? Language::korean : Language::english;
}

std::string error_json(const HttpError& e, Language language) {
  const std::string message = language == Language::korean ? in_korean(e.what()) : e.what();
  const auto or_null = [](const std::string& s) {
    return s.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(s);
  };
  const nlohmann::ordered_json j{
      {"error", {{"message", message}, {"type", type_of(e.status)}, {"param", or_null(e.param)}, {"code", or_null(e.code)}}},
      {"detail", message}};
  return j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Headers error_headers(const HttpError& e, Language language) {
  Headers h{{"Content-Language", language == Language::korean ? "ko" : "en"}, {"Vary", "Accept-Language"}};
  if (e.retry_after > 0) h.emplace_back("Retry-After", std::to_string(e.retry_after));
  if (e.status == 401) h.emplace_back("WWW-Authenticate", "Basic realm=\"duet\", charset=\"UTF-8\"");  // browsers ask for it
  if (e.status == 408 || (e.status >= 500 && e.status != 503)) h.emplace_back("x-should-retry", "false");
  return h;
}

std::string percent_decoded(std::string_view s) {
  std::string out;
  for (size_t i = 0; i < s.size(); ++i) {
    if (s[i] != '%') {
      out += s[i];
      continue;
    }
    const int hi = i + 2 < s.size() ? hex_digit(s[i + 1]) : -1, lo = i + 2 < s.size() ? hex_digit(s[i + 2]) : -1;
    if (hi < 0 || lo < 0 || hi * 16 + lo == 0) throw HttpError(400, "the address holds a % that two hex digits do not follow");
    out += char(hi * 16 + lo), i += 2;
  }
  return out;
}

void Exchange::push(Output o) {
  std::function<void()> notify;
  {
    std::lock_guard l(mutex_);
    if (ended_) return;
    begun_ = true, ended_ = o.last;
    if (!gone_) unsent_ += o.body.size(), out_.push_back(std::move(o)), notify = notify_;
  }
  if (notify) notify();
}

void Exchange::send(int status, std::string type, std::string body, Headers headers) {
  push({.head = true,
        .last = true,
        .whole = true,
        .status = status,
        .type = std::move(type),
        .body = std::move(body),
        .headers = std::move(headers)});
}

void Exchange::begin(std::string type, Headers headers) {
  push({.head = true, .status = 200, .type = std::move(type), .body = {}, .headers = std::move(headers)});
}

bool Exchange::write(std::string piece) {
  {
    std::unique_lock l(mutex_);
    room_.wait(l, [&] { return gone_ || unsent_ < kUnsent; });
    if (gone_) return false;
  }
  push({.body = std::move(piece)});
  return true;
}

void Exchange::end() { push({.last = true}); }

bool Exchange::begun() const {
  std::lock_guard l(mutex_);
  return begun_;
}

bool Exchange::closed() const {
  std::lock_guard l(mutex_);
  return gone_;
}

void Exchange::on_gone(std::function<void()> f) {
  std::unique_lock l(mutex_);
  if (gone_ && f) {
    l.unlock();
    return f();
  }
  on_gone_ = std::move(f);
}

bool Exchange::take(Output& o) {
  std::lock_guard l(mutex_);
  if (out_.empty()) return false;
  o = std::move(out_.front());
  out_.pop_front();
  unsent_ -= o.body.size();
  room_.notify_all();
  return true;
}

void Exchange::gone() {
  std::function<void()> f;
  {
    std::lock_guard l(mutex_);
    gone_ = true, out_.clear(), unsent_ = 0, notify_ = nullptr;
    f = std::exchange(on_gone_, nullptr);
    if (ended_) f = nullptr;
  }
  room_.notify_all();
  if (f) f();
}

void Exchange::set_notify(std::function<void()> f) {
  std::lock_guard l(mutex_);
  notify_ = std::move(f);
}

}  // namespace duet

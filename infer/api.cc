#include "infer/api.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <semaphore>

#include "infer/base64.h"
#include "infer/webfiles.h"
#include "vision/codec.h"
#include "vision/dicom.h"

namespace duet {
namespace {

constexpr Limits kPictures = {.max_pixels = 16'000'000, .max_side = 8192, .max_bytes = 16 << 20};
constexpr int64_t kWordsOnly = 1 << 20;  // bytes of a body without pictures

// A table's path matches itself; "/a/{id}" matches "/a/" and anything after it, which becomes `tail`.
bool matches(std::string_view table, std::string_view path, std::string* tail = nullptr) {
  if (!table.ends_with("{id}")) return table == path;
  table.remove_suffix(4);
  if (!path.starts_with(table) || path.size() == table.size()) return false;
  if (tail) *tail = std::string(path.substr(table.size()));
  return true;
}

bool gets(const HttpRequest& r) { return r.method == "GET" || r.method == "HEAD"; }

const Route* route_of(const HttpRequest& r, std::string* tail = nullptr) {
  const std::string_view method = gets(r) ? "GET" : std::string_view(r.method);
  for (const Route& route : routes())
    if (method == route.method && matches(route.path, r.path, tail)) return &route;
  return nullptr;
}

bool is_ip(std::string_view host) {
  return !host.empty() && (host[0] == '[' || host.find_first_not_of("0123456789.") == host.npos);
}

// Equal in a time that does not tell where they differ.
bool same_secret(std::string_view a, std::string_view b) {
  uint8_t differ = a.size() != b.size();
  for (size_t i = 0; i < a.size(); ++i) differ |= uint8_t(a[i]) ^ uint8_t(b[b.empty() ? 0 : i % b.size()]);
  return differ == 0;
}

void send_page(const HttpRequest& r, const WebFile& f, Exchange& out) {
  const Headers headers = {{"ETag", std::string(f.etag)},
                           {"Cache-Control", "no-cache"},
                           {"Content-Security-Policy",
                            "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
                            "form-action 'self'; frame-ancestors 'none'"},
                           {"Referrer-Policy", "no-referrer"},
                           {"Cross-Origin-Opener-Policy", "same-origin"},
                           {"Cross-Origin-Resource-Policy", "same-origin"}};
  if (!f.etag.empty() && r.header("if-none-match") == f.etag) return out.send(304, "", "", headers);
  out.send(200, std::string(f.mime), std::string(f.body), headers);
}

}  // namespace

Image decode_strangers(std::span<const uint8_t> bytes, const std::string& name) { return decode_image(bytes, name, kPictures); }

Api::Api(const ModelInfo& m, Engine& e, ApiOptions o) : model(m), engine(e), options(std::move(o)) {}

// Bearer KEY, or Basic with the key as the password, whatever the name.
bool Api::key_fits(std::string_view authorization) const {
  std::string given;
  if (authorization.starts_with("Bearer ")) {
    given = authorization.substr(7);
  } else if (authorization.starts_with("Basic ")) {
    const auto bytes = from_base64(authorization.substr(6));
    if (bytes) given.assign(bytes->begin(), bytes->end());
    given.erase(0, std::min(given.find(':'), given.size()));
    if (!given.empty()) given.erase(0, 1);
  }
  bool fits = false;
  for (const std::string& key : options.keys) fits |= same_secret(given, key);
  return fits;
}

// A page of another site must not speak to this server through its visitor's browser.
void Api::check_origin(const HttpRequest& r) const {
  std::string_view host = r.header("host");
  const std::string_view whole = host;
  if (const size_t colon = host.rfind(':'); colon != host.npos && host.find(']', colon) == host.npos)
    host = host.substr(0, colon);
  bool known = host == "localhost" || is_ip(host);
  for (const std::string& name : options.hosts) known = known || host == name;
  if (!known)
    throw HttpError(403, "this server is not known by the name in the Host header; start it with --allow-host NAME", {},
                    "host_not_allowed");
  const std::string_view origin = r.header("origin");
  if (origin.empty()) return;
  const size_t scheme = origin.find("://");
  if (scheme == origin.npos || origin.substr(scheme + 3) != whole)
    throw HttpError(403, "requests from pages of other sites are refused", {}, "origin_not_allowed");
}

HttpService::Plan Api::admit(const HttpRequest& r) {
  check_origin(r);
  const Route* route = route_of(r);
  // The page's own files hold no secret, and the page is where a person gives the key.
  if (!route && gets(r) && web_file(r.path)) return {.body_limit = 0, .quick = true};
  if (!options.keys.empty() && !(route && route->open) && !key_fits(r.header("authorization")))
    throw HttpError(401, "a key is needed: Authorization: Bearer KEY", {}, "invalid_api_key");
  if (!route) {
    for (const Route& other : routes())
      if (matches(other.path, r.path)) throw HttpError(405, join("this route takes ", other.method), {}, "method_not_allowed");
    throw HttpError(404, "there is no such route; GET /openapi.json lists them", {}, "not_found");
  }
  bool pictures = false;
  for (const Field& f : route->fields)
    pictures = pictures || f.kind == Field::file || f.kind == Field::any || (f.kind == Field::text && f.most == 0);
  const bool takes = std::string_view(route->method) == "POST";
  return {.body_limit = !takes ? 0 : pictures ? options.body_limit : kWordsOnly, .quick = route->quick};
}

void Api::handle(const HttpRequest& r, Exchange& out) {
  std::string tail;
  const Route* route = route_of(r, &tail);
  if (!route) {
    const WebFile* file = web_file(r.path);
    CHECK(file, "a page that was there when the request was admitted");
    return send_page(r, *file, out);
  }
  const Params params(r, route->fields, route->forms, route->body);
  Call call{*this, r, params, out, tail};
  route->handler(call);
}

void Api::served(const HttpRequest& r, int status, double seconds) {
  const Route* route = route_of(r);
  metrics.count(route ? route->path : web_file(r.path) ? "page" : "none", status, seconds);
}

Event Api::run(const Call& c, Task task, const std::function<bool(Event&)>& each) {
  const bool draws = std::holds_alternative<DrawTask>(task);
  std::shared_ptr<Job> job;
  try {
    const auto wait = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options.timeout));
    job = engine.submit(std::move(task), c.request.client, Clock::now() + wait);
  } catch (const Busy& e) {
    throw HttpError(429, e.what(), {}, "queue_full", e.retry_after);
  } catch (const Error& e) {
    throw HttpError(400, e.what(), {}, "invalid_value");
  }
  if (draws) {
    std::lock_guard l(progress_mutex);
    std::erase_if(progress, [](const auto& p) { return p.second.job.expired(); });
    progress[c.request.client] = {job, 0, Clock::now()};
  }
  c.out.on_gone([job] { job->cancel(); });
  for (;;) {
    Event e = job->next();
    switch (e.kind) {
      case Event::preview:
      case Event::picture:
      case Event::words:
        if (each && !each(e)) job->cancel();
        break;
      case Event::finished:
        return e;
      case Event::refused:
        throw HttpError(400, e.text, {}, "invalid_value");
      case Event::cancelled:
        throw HttpError(499, "cancelled", {}, "cancelled");
      case Event::late:
        throw HttpError(504, join("not done within ", options.timeout, " seconds; ask for fewer pictures or steps"), {},
                        "timeout");
      case Event::broken:
        throw Error(e.text);
    }
  }
}

Image Api::picture(std::span<const uint8_t> bytes, const std::string& param) {
  try {
    if (is_dicom(bytes)) {  // in a process of its own in any case
      static std::counting_semaphore<4> turns(4);
      turns.acquire();
      const std::unique_ptr<void, void (*)(void*)> release(&turns, [](void*) { turns.release(); });
      Limits limits = kPictures;
      limits.window = options.window;
      return decode_dicom(bytes, param, limits);
    }
    return decoder ? (*decoder)(bytes, param) : decode_strangers(bytes, param);
  } catch (const DicomUnavailable&) {
    throw HttpError(500, "this server cannot read DICOM", param, "dicom_unavailable");
  } catch (const DicomDied& e) {
    throw HttpError(422, e.what(), param, "image_not_decoded");
  } catch (const DecoderDied& e) {
    throw HttpError(422, e.what(), param, "image_not_decoded");
  } catch (const Error& e) {
    throw HttpError(400, e.what(), param, "invalid_image");
  }
}

std::vector<uint8_t> Api::inline_bytes(const std::string& url, const std::string& param) {
  std::string_view body = url;
  if (body.starts_with("data:")) {
    const size_t comma = body.find(',');
    if (comma == body.npos || !body.substr(0, comma).ends_with(";base64"))
      throw HttpError(400, param + ": a data URL in base64 is expected: data:image/png;base64,...", param, "invalid_value");
    body.remove_prefix(comma + 1);
  } else if (const size_t scheme = body.substr(0, 32).find(':'); scheme != body.npos) {
    throw HttpError(400, param + ": this server fetches nothing; send the picture itself as a data URL", param,
                    "url_not_allowed");
  }
  auto bytes = from_base64(body);
  if (!bytes)
    throw HttpError(400, param + ": neither a data URL nor base64; send data:image/png;base64,...", param, "invalid_value");
  return std::move(*bytes);
}

void Call::remarks(Headers& headers) const {
  const std::string both = params.unknown() + (params.unknown().empty() || ignored.empty() ? "" : ", ") + ignored;
  if (!both.empty()) headers.emplace_back("x-duet-ignored", both);
  if (!strange_style.empty()) headers.emplace_back("x-duet-unknown-style", strange_style);
  if (!unread.empty()) headers.emplace_back("x-duet-unread", unread);
}

void Call::send(const nlohmann::ordered_json& j) const {
  Headers headers;
  remarks(headers);
  out.send(200, "application/json", j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), std::move(headers));
}

void Call::begin_events() const {
  Headers headers = {{"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}};
  remarks(headers);
  out.begin("text/event-stream", std::move(headers));
}

bool Call::event(const std::string& name, const nlohmann::ordered_json& j) const {
  return out.write((name.empty() ? "" : "event: " + name + "\n") +
                   "data: " + j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n\n");
}

}  // namespace duet

// Requests and replies as the API sees them; the network is in infer/httpserver.h.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/error.h"

namespace duet {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method, path, query;             // path without the query, percent signs undone
  std::map<std::string, std::string> headers;  // names in lower case; of a repeated one the values with ", " between
  std::string body;
  std::string client;  // address
  std::string id;      // ours, given back as x-request-id
  std::string_view header(const std::string& name) const {
    const auto it = headers.find(name);
    return it == headers.end() ? std::string_view{} : std::string_view(it->second);
  }
};

// A request that cannot be served. The shape is OpenAI's: message, type, param and code, all four, null where empty.
struct HttpError : Error {
  int status;
  std::string param, code;
  int retry_after = 0;  // seconds
  HttpError(int status, const std::string& message, std::string param = {}, std::string code = {}, int retry_after = 0)
      : Error(message), status(status), param(std::move(param)), code(std::move(code)), retry_after(retry_after) {}
};
enum class Language { english, korean };  // of an error's message; type, param and code are the same in all
Language language_of(std::string_view accept_language);
std::string error_json(const HttpError&, Language);
Headers error_headers(const HttpError&,
                      Language);  // those that its status asks for, and x-should-retry where clients would try in vain

// "a%20b" -> "a b"; refuses what is no pair of hex digits, and a NUL.
std::string percent_decoded(std::string_view);

// The answer to one request: made by a handler on any thread, taken by the network thread. Either send(), or begin(),
// any number of write() and end().
class Exchange {
 public:
  void send(int status, std::string type, std::string body, Headers = {});
  void begin(std::string type, Headers = {});  // status 200
  bool write(std::string piece);               // waits while much is unsent; false: the client is gone
  void end();
  void on_gone(std::function<void()>);  // called when the client leaves before the answer is whole
  bool begun() const;

  // For the network thread.
  struct Output {
    bool head = false, last = false;  // head: status, type and headers are set; last: nothing follows
    bool whole = false;               // head, and body is all of it
    int status = 0;
    std::string type = {}, body = {};
    Headers headers = {};
  };
  bool take(Output&);                      // false: nothing to send just now
  void gone();                             // nothing is sent any more
  bool closed() const;                     // after gone()
  void set_notify(std::function<void()>);  // called from any thread when there is something to take

 private:
  void push(Output);
  mutable std::mutex mutex_;
  std::condition_variable room_;
  std::deque<Output> out_;
  size_t unsent_ = 0;  // bytes
  bool begun_ = false, ended_ = false, gone_ = false;
  std::function<void()> notify_, on_gone_;
};

}  // namespace duet

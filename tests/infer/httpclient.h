// A plain HTTP client of a few sockets calls, for tests: says just what it is told and shows just what came.
#pragma once
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <string>

namespace duet {

struct Client {
  int fd = -1;
  std::string got;  // bytes that no reply has taken yet
  explicit Client(int port) {
    fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET, at.sin_port = htons(uint16_t(port)), at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) close(), ADD_FAILURE() << "no connection";
  }
  Client(Client&& c) noexcept : fd(std::exchange(c.fd, -1)), got(std::move(c.got)) {}
  ~Client() { close(); }
  void close() {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
  // False: the server no longer takes any.
  bool say(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(size_t(n));
    }
    return true;
  }
  // More bytes into `got`; false: the end, or nothing for so many seconds.
  bool hear(double seconds = 60) {
    pollfd p{fd, POLLIN, 0};
    if (poll(&p, 1, int(seconds * 1000)) <= 0) return false;
    char buffer[65536];
    const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    got.append(buffer, size_t(n));
    return true;
  }
  bool hear_until(const std::string& word, double seconds = 60) {
    while (got.find(word) == std::string::npos)
      if (!hear(seconds)) return false;
    return true;
  }
  bool ended(double seconds = 60) {
    while (hear(seconds)) {
    }
    pollfd p{fd, POLLIN, 0};
    return poll(&p, 1, 0) > 0;  // readable, but nothing to read
  }
};

struct Reply {
  int status = 0;  // 0: none came
  std::map<std::string, std::string> headers;
  std::string body;
};

// Takes one reply off the connection: with a length, in chunks, or up to the end.
inline Reply take_reply(Client& c, double seconds = 60) {
  Reply r;
  if (!c.hear_until("\r\n\r\n", seconds)) return r;
  const size_t head = c.got.find("\r\n\r\n");
  std::string lines = c.got.substr(0, head);
  c.got.erase(0, head + 4);
  r.status = std::atoi(lines.c_str() + 9);
  for (size_t at = lines.find("\r\n"); at != std::string::npos;) {
    const size_t next = lines.find("\r\n", at + 2);
    const std::string line = lines.substr(at + 2, next == std::string::npos ? next : next - at - 2);
    std::string name = line.substr(0, line.find(':'));
    for (char& ch : name) ch = char(std::tolower(uint8_t(ch)));
    r.headers[name] = line.substr(std::min(line.size(), line.find(':') + 2));
    at = next;
  }
  if (r.status == 100) return take_reply(c, seconds);
  if (r.headers.count("content-length")) {
    const size_t n = std::stoul(r.headers["content-length"]);
    while (c.got.size() < n)
      if (!c.hear(seconds)) break;
    r.body = c.got.substr(0, n);
    c.got.erase(0, n);
  } else if (r.headers["transfer-encoding"] == "chunked") {
    for (;;) {
      if (!c.hear_until("\r\n", seconds)) return r;
      const size_t n = std::stoul(c.got, nullptr, 16), line = c.got.find("\r\n") + 2;
      while (c.got.size() < line + n + 2)
        if (!c.hear(seconds)) return r;
      r.body += c.got.substr(line, n);
      c.got.erase(0, line + n + 2);
      if (n == 0) break;
    }
  } else if (r.status != 304) {
    while (c.hear(seconds)) {
    }
    r.body = std::exchange(c.got, {});
  }
  return r;
}

using Lines = std::map<std::string, std::string>;

inline std::string request_text(const std::string& method, const std::string& path, const std::string& body = "",
                                Lines headers = {}) {
  headers.emplace("Host", "localhost");
  if (!body.empty()) headers.emplace("Content-Type", "application/json");
  if (method == "POST") headers.emplace("Content-Length", std::to_string(body.size()));
  std::string text = method + " " + path + " HTTP/1.1\r\n";
  for (const auto& [k, v] : headers) text += k + ": " + v + "\r\n";
  return text + "\r\n" + body;
}

}  // namespace duet

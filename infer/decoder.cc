#include "infer/decoder.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iterator>
#include <new>

#include "kernels/error.h"
#include "vision/lockdown.h"

namespace duet {
namespace {

// A worker's answer in its `out` file: this, then pixels (H,W,4) or the words of a refusal.
struct Answer {
  int32_t width = 0, height = 0;  // 0: refused
};

struct Fd {
  int fd;
  explicit Fd(int fd) : fd(fd) { CHECK(fd >= 0, "a file descriptor: ", std::strerror(errno)); }
  ~Fd() {
    if (fd >= 0) ::close(fd);
  }
  Fd(const Fd&) = delete;
};

bool write_all(int fd, const void* data, size_t n) {
  for (auto p = static_cast<const char*>(data); n > 0;) {
    const ssize_t k = write(fd, p, n);
    if (k <= 0) return false;
    p += k, n -= size_t(k);
  }
  return true;
}

// One message with three descriptors: in, out, done.
bool send_job(int socket, const int (&fds)[3], const std::string& name) {
  iovec piece{const_cast<char*>(name.data()), name.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fds)] = {};
  msghdr m{};
  m.msg_iov = &piece, m.msg_iovlen = 1, m.msg_control = control, m.msg_controllen = sizeof control;
  cmsghdr* c = CMSG_FIRSTHDR(&m);
  c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(sizeof fds);
  std::memcpy(CMSG_DATA(c), fds, sizeof fds);
  return sendmsg(socket, &m, MSG_NOSIGNAL) >= 0;
}

bool receive_job(int socket, int (&fds)[3], std::string& name) {
  char words[256];
  iovec piece{words, sizeof words};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fds)] = {};
  msghdr m{};
  m.msg_iov = &piece, m.msg_iovlen = 1, m.msg_control = control, m.msg_controllen = sizeof control;
  const ssize_t n = recvmsg(socket, &m, 0);
  const cmsghdr* c = n > 0 ? CMSG_FIRSTHDR(&m) : nullptr;
  if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof fds)) return false;
  std::memcpy(fds, CMSG_DATA(c), sizeof fds);
  name.assign(words, size_t(n));
  return true;
}

// Ends this process when `parent` ends, or at once if it has.
void end_with(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(0);
}

void limit(decltype(RLIMIT_CPU) what, int64_t to) {
  const rlimit l{rlim_t(to), rlim_t(to)};
  setrlimit(what, &l);
}

}  // namespace

Decoder::Decoder(Decode decode) : Decoder(std::move(decode), Bounds{}) {}

Decoder::Decoder(Decode decode, const Bounds& bounds) : decode_(std::move(decode)), bounds_(bounds) {
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0, std::strerror(errno));
  const pid_t program = getpid();
  keeper_ = fork();
  CHECK(keeper_ >= 0, "a process more: ", std::strerror(errno));
  if (keeper_ == 0) {
    close(pair[0]);
    end_with(program);
    keep_maker(pair[1]);
  }
  close(pair[1]);
  socket_ = pair[0];
}

Decoder::~Decoder() {
  close(socket_);  // which the maker takes for its end
  waitpid(keeper_, nullptr, 0);
}

// Who makes the workers may be ended too, by someone short of memory; what was asked of it meanwhile waits in the socket.
void Decoder::keep_maker(int socket) {
  signal(SIGCHLD, SIG_DFL);
  signal(SIGINT, SIG_IGN);  // a terminal's Ctrl-C goes to all; the program ends us when it is done
  signal(SIGTERM, SIG_IGN);
  for (const pid_t keeper = getpid();;) {
    const pid_t maker = fork();
    if (maker == 0) {
      end_with(keeper);
      make_workers(socket);
    }
    int status = 0;
    if (maker < 0) sleep(1);  // no process to be had now
    else if (waitpid(maker, &status, 0) == maker && WIFEXITED(status)) _exit(0);
  }
}

void Decoder::make_workers(int socket) {
  signal(SIGCHLD, SIG_IGN);  // ended workers are taken off at once
  int fds[3];
  for (std::string name; receive_job(socket, fds, name);) {
    const pid_t worker = fork();
    if (worker == 0) {
      close(socket);
      work(fds[0], fds[1], fds[2], name);
    }
    for (const int fd : fds) close(fd);
  }
  _exit(0);
}

void Decoder::work(int in, int out, int done, const std::string& name) {
  limit(RLIMIT_CORE, 0), limit(RLIMIT_AS, kSanitized ? INT64_MAX : bounds_.memory), limit(RLIMIT_CPU, bounds_.seconds),
      limit(RLIMIT_NPROC, 0);
  const off_t size = lseek(in, 0, SEEK_END);
  const void* map = size > 0 ? mmap(nullptr, size_t(size), PROT_READ, MAP_PRIVATE, in, 0) : nullptr;
  if (size < 0 || map == MAP_FAILED || !lock_down()) _exit(1);
  bool whole = false;
  try {
    const Image image = decode_({static_cast<const uint8_t*>(map), size_t(size)}, name);
    const Answer a{image.width, image.height};
    whole = write_all(out, &a, sizeof a) && write_all(out, image.rgba.data(), image.rgba.size());
  } catch (const std::bad_alloc&) {
    const std::string why = name + ": decoding it takes more memory than it may have; make the picture smaller";
    const Answer a;
    whole = write_all(out, &a, sizeof a) && write_all(out, why.data(), why.size());
  } catch (const std::exception& e) {
    const Answer a;
    whole = write_all(out, &a, sizeof a) && write_all(out, e.what(), std::strlen(e.what()));
  }
  const char yes = 1;
  if (whole) whole = write_all(done, &yes, 1);
  _exit(whole ? 0 : 1);
}

Image Decoder::operator()(std::span<const uint8_t> bytes, const std::string& name) {
  struct Turn {
    Decoder& d;
    explicit Turn(Decoder& d) : d(d) {
      std::unique_lock l(d.mutex_);
      d.turn_.wait(l, [&] { return d.running_ < d.bounds_.at_a_time; });
      ++d.running_;
    }
    ~Turn() {
      std::lock_guard l(d.mutex_);
      --d.running_;
      d.turn_.notify_one();
    }
  } turn(*this);
  const Fd in(memfd_create("picture", MFD_CLOEXEC)), out(memfd_create("pixels", MFD_CLOEXEC));
  CHECK(write_all(in.fd, bytes.data(), bytes.size()), "memory for a picture: ", std::strerror(errno));
  int pipes[2];
  CHECK(pipe2(pipes, O_CLOEXEC) == 0, std::strerror(errno));
  const Fd done(pipes[0]);
  {
    const Fd tell(pipes[1]);
    CHECK(send_job(socket_, {in.fd, out.fd, tell.fd}, name.substr(0, 200)), "the process that makes decoders is gone");
  }
  pollfd p{done.fd, POLLIN, 0};
  char yes = 0;
  // The processor's time is bounded there; here is time for a busy machine.
  if (poll(&p, 1, bounds_.seconds * 4000) <= 0 || read(done.fd, &yes, 1) != 1 || yes != 1)
    throw DecoderDied(name + ": decoding it failed or took too long; the file is damaged or made to do harm");
  struct stat s {};
  Answer a;
  CHECK(fstat(out.fd, &s) == 0 && s.st_size >= off_t(sizeof a), "an answer of ", s.st_size, " bytes");
  const size_t rest = size_t(s.st_size) - sizeof a;
  CHECK(pread(out.fd, &a, sizeof a, 0) == ssize_t(sizeof a), std::strerror(errno));
  const auto take = [&](void* to) {
    for (size_t got = 0; got < rest;) {
      const ssize_t n = pread(out.fd, static_cast<char*>(to) + got, rest - got, off_t(sizeof a + got));
      CHECK(n > 0, "the rest of an answer");
      got += size_t(n);
    }
  };
  if (a.width <= 0 || a.height <= 0) {
    std::string why(std::min<size_t>(rest, 1000), ' ');
    CHECK(pread(out.fd, why.data(), why.size(), sizeof a) == ssize_t(why.size()), std::strerror(errno));
    throw Error(why);
  }
  CHECK(rest == size_t(a.width) * size_t(a.height) * 4, "pixels of ", a.width, " x ", a.height, " in ", rest, " bytes");
  Image image(a.width, a.height);
  take(image.rgba.data());
  return image;
}

}  // namespace duet

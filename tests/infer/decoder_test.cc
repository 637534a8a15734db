// Decoding in a process of its own: the same pictures and refusals, and nothing but one refusal when that process
// misbehaves.
#include "infer/decoder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "kernels/files.h"
#include "tests/infer/tiny.h"

namespace duet {
namespace {

// The process under test comes from one with the other tests' memory: what is bounded here is its time.
constexpr Decoder::Bounds kBounds = {.memory = int64_t(1) << 40, .seconds = 1, .at_a_time = 4};

Image decode(std::span<const uint8_t> bytes, const std::string& name) { return decode_image(bytes, name); }

// What a broken decoder might be led to do, by the first byte.
Image misbehave(std::span<const uint8_t> bytes, const std::string& name) {
  switch (bytes[0]) {
    case 'a':
      abort();
    case 'l':
      for (std::atomic<int> i{0};;) ++i;
    case 'o':
      return Image(open("/etc/passwd", O_RDONLY) + 1, 1);
    case 's':
      return Image(socket(AF_INET, SOCK_STREAM, 0) + 1, 1);
    case 'f':
      return Image(int(fork()) + 1, 1);
    case 'x':
      return execl("/bin/true", "true", nullptr), Image(1, 1);
    case 'm':
      return Image(1 << 20, 1 << 20);
    case 'n':
      *static_cast<volatile int*>(nullptr) = 1;
      return {};
    default:
      return decode(bytes, name);
  }
}

int open_files() { return int(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {})); }

TEST(Decoder, GivesWhatTheDecodersGive) {
  Decoder d(decode, kBounds);
  const int before = open_files();
  for (uint64_t i = 0; i < 5; ++i) {
    const Image image = tiny_picture(i, 30 + int(i), 20, i % 2);
    const Image got = d(encode_png(image), "p");
    EXPECT_EQ(got.width, image.width);
    EXPECT_EQ(got.rgba, image.rgba);
  }
  for (const std::string& bad : {std::string("hello"), std::string(), std::string("\x89PNG\r\n")}) {
    std::string expected, got;
    try {
      decode(as_bytes(bad), "bad.png");
    } catch (const Error& e) {
      expected = e.what();
    }
    try {
      d(as_bytes(bad), "bad.png");
    } catch (const Error& e) {
      got = e.what();
    }
    EXPECT_EQ(got, expected);
    EXPECT_FALSE(got.empty());
  }
  EXPECT_EQ(open_files(), before);
}

TEST(Decoder, AProcessThatMisbehavesIsOneRefusal) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "under a sanitizer workers are not locked down";
#endif
  Decoder d(misbehave, kBounds);
  const auto png = encode_png(tiny_picture(1));
  for (const char* what : {"a", "o", "s", "f", "x", "m", "n", "l"}) {
    EXPECT_THROW(d(as_bytes(what), "p"), Error) << what;
    EXPECT_EQ(d(png, "p").width, 24) << "after " << what;
  }
}

// The first process whose parent is `parent`, 0: none.
pid_t child_of(pid_t parent) {
  for (const auto& e : std::filesystem::directory_iterator("/proc")) {
    std::ifstream f(e.path() / "stat");  // PID (NAME) STATE PARENT
    std::string line;
    if (!std::getline(f, line)) continue;
    std::istringstream rest(line.substr(line.rfind(')') + 1));
    std::string state;
    pid_t of = 0;
    if (rest >> state >> of && of == parent && state != "Z") return pid_t(std::stol(line));
  }
  return 0;
}

// The process that makes the workers is ended, as by a system short of memory: another takes its place.
TEST(Decoder, OutlivesTheProcessThatMakesProcesses) {
  Decoder decoder(decode, kBounds);
  const std::vector<uint8_t> bytes = encode_png(Image(3, 2));
  pid_t last = 0;
  const auto maker = [&] {  // another one than the last
    for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
         std::chrono::steady_clock::now() < end;) {
      const pid_t keeper = child_of(getpid()), now = keeper ? child_of(keeper) : 0;
      if (now && now != last) return last = now;
    }
    return pid_t(0);
  };
  for (int i = 0; i < 3; ++i) {
    ASSERT_GT(maker(), 0);
    EXPECT_EQ(decoder(bytes, "a").width, 3);
    ASSERT_EQ(kill(last, SIGKILL), 0);
  }
  // A message that the dying one has taken out of the socket would be lost with it: one refusal, as for a worker's death.
  ASSERT_GT(maker(), 0);
  EXPECT_EQ(decoder(bytes, "a").height, 2);
}

TEST(Decoder, ManyAtATime) {
  Decoder d(misbehave, kBounds);
  std::vector<std::thread> threads;
  std::atomic<int> good{0}, refused{0};
  for (uint64_t t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      for (uint64_t i = 0; i < 6; ++i) try {
          const Image image = tiny_picture(t * 100 + i);
          good += d(i % 3 == 2 ? std::vector<uint8_t>{'a'} : encode_png(image), "p").rgba == image.rgba;
        } catch (const Error&) {
          ++refused;
        }
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(good, 32);
  EXPECT_EQ(refused, 16);
}

}  // namespace
}  // namespace duet

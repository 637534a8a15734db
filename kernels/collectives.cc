#include "kernels/collectives.h"

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace duet {
namespace {

int from_names(std::initializer_list<const char*> names, int otherwise) {
  for (const char* name : names)
    if (const char* text = std::getenv(name)) {
      int value = 0;
      const char* end = text + std::strlen(text);
      if (const auto [p, e] = std::from_chars(text, end, value); e != std::errc() || p != end || value < 0)
        refuse("environment variable ", name, "=", text, " is not a number of 0 or more");
      return value;
    }
  return otherwise;
}

class Alone : public Collectives {
 public:
  World world() const override { return {}; }
  void all_reduce(void*, int64_t, DType, Reduce) override {}
  void reduce_scatter(const void* in, void* out, int64_t n_out, DType type, Reduce) override {
    move(in, out, size_t(n_out) * size_of(type));
  }
  void all_gather(const void* in, void* out, int64_t n_in, DType type) override { move(in, out, size_t(n_in) * size_of(type)); }
  void broadcast(void*, int64_t, int root) override { CHECK(root == 0, "root ", root, " of a world of one"); }
  void all_to_all(const void* in, void* out, int64_t bytes) override { move(in, out, size_t(bytes)); }
  void barrier() override {}

 private:
  static void move(const void* in, void* out, size_t bytes) {
    if (in != out) std::memmove(out, in, bytes);
  }
};

}  // namespace

World World::from_env() {
  World w;
  w.rank = from_names({"RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK"}, 0);
  w.size = from_names({"WORLD_SIZE", "SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}, 1);
  w.local_rank = from_names({"LOCAL_RANK", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK"}, 0);
  if (w.size < 1 || w.rank >= w.size) refuse("rank ", w.rank, " of a world of ", w.size, ": check RANK and WORLD_SIZE");
  return w;
}

std::unique_ptr<Collectives> join_world(const World& w) {
  if (w.size > 1)
    refuse("a world of ", w.size, " processes, and this build trains in one: start it alone, or unset WORLD_SIZE");
  return std::make_unique<Alone>();
}

}  // namespace duet

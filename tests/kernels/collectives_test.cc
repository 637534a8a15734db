#include "kernels/collectives.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <numeric>

namespace duet {
namespace {

struct Env {  // a clean environment of launchers, put back afterwards
  std::vector<std::pair<const char*, std::string>> kept;
  Env() {
    for (const char* n : {"RANK", "WORLD_SIZE", "LOCAL_RANK", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"}) {
      if (const char* v = std::getenv(n)) kept.emplace_back(n, v);
      unsetenv(n);
    }
  }
  ~Env() {
    for (const char* n : {"RANK", "WORLD_SIZE", "LOCAL_RANK", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"}) unsetenv(n);
    for (auto& [n, v] : kept) setenv(n, v.c_str(), 1);
  }
};

TEST(Collectives, TheWorldIsReadFromTheLauncher) {
  const Env clean;
  EXPECT_EQ(World::from_env().size, 1);
  setenv("SLURM_PROCID", "3", 1), setenv("SLURM_NTASKS", "8", 1);
  EXPECT_EQ(World::from_env().rank, 3);
  EXPECT_EQ(World::from_env().size, 8);
  setenv("RANK", "1", 1), setenv("WORLD_SIZE", "2", 1), setenv("LOCAL_RANK", "1", 1);  // torchrun's names come first
  const World w = World::from_env();
  EXPECT_EQ(w.rank, 1);
  EXPECT_EQ(w.size, 2);
  EXPECT_EQ(w.local_rank, 1);
  EXPECT_THROW(join_world(w), Error);
  for (const char* bad : {"two", "-1", "1x", "", "99999999999", "2"}) {
    setenv("RANK", bad, 1);
    EXPECT_THROW(World::from_env(), Error) << bad;
  }
}

TEST(Collectives, AloneEverythingIsTheIdentity) {
  const auto one = join_world({});
  EXPECT_EQ(one->world().size, 1);
  std::vector<float> a(37), b(37, -1), c(37, -1), d(37, -1);
  std::iota(a.begin(), a.end(), 1.0f);
  const auto before = a;
  for (Reduce r : {Reduce::sum, Reduce::mean, Reduce::max}) one->all_reduce(a.data(), 37, DType::f32, r);
  one->broadcast(a.data(), 37 * 4, 0);
  EXPECT_EQ(a, before);
  one->reduce_scatter(a.data(), b.data(), 37, DType::f32, Reduce::mean);
  one->all_gather(a.data(), c.data(), 37, DType::f32);
  one->all_to_all(a.data(), d.data(), 37 * 4);
  one->barrier();
  EXPECT_EQ(b, before);
  EXPECT_EQ(c, before);
  EXPECT_EQ(d, before);
  EXPECT_THROW(one->broadcast(a.data(), 4, 1), Error);
}

}  // namespace
}  // namespace duet

// How processes that train together exchange numbers: one interface, engines behind it. This build has the engine of a
// world of one, in which every operation is the identity; NCCL and Gloo are to stand beside it.
// Counts are elements a process holds; buffers are host memory. Every process calls the same operations in the same order.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "kernels/tensor.h"

namespace duet {

enum class Reduce : uint8_t { sum, mean, max };

// Who we are, from the environment that launchers set: torchrun (RANK, WORLD_SIZE, LOCAL_RANK), SLURM (SLURM_PROCID,
// SLURM_NTASKS, SLURM_LOCALID), Open MPI (OMPI_COMM_WORLD_*), PMI. None set: alone. Refuses values that are no rank.
struct World {
  int rank = 0, size = 1, local_rank = 0;
  static World from_env();
};

class Collectives {
 public:
  virtual ~Collectives() = default;
  virtual World world() const = 0;
  virtual void all_reduce(void* buffer, int64_t n, DType, Reduce) = 0;
  virtual void reduce_scatter(const void* in, void* out, int64_t n_out, DType, Reduce) = 0;  // in: size x n_out
  virtual void all_gather(const void* in, void* out, int64_t n_in, DType) = 0;               // out: size x n_in
  virtual void broadcast(void* buffer, int64_t bytes, int root) = 0;
  virtual void all_to_all(const void* in, void* out, int64_t bytes_per_rank) = 0;
  virtual void barrier() = 0;
};

// Joins the world. Refuses more than one process: no engine for them is built in.
std::unique_ptr<Collectives> join_world(const World&);

}  // namespace duet

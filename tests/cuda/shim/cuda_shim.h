// CUDA source on the host: with this in place of cuda_runtime.h a .cu file compiles as C++ and its kernels run on the CPU.
// The threads of a block are fibers, run one after another between barriers; blocks follow one another. What it shows:
//   a missing barrier      run in several thread orders (shim::set_order), results differ
//   a divergent barrier    an error that names the block and the line
//   unwritten shared memory reads as NaN, and so does fresh device memory
//   the wrong side's memory: device memory faults when the host touches it outside a kernel or a copy; a host pointer given
//                          to a kernel is an error; each allocation ends at a page that faults
// What it does not: TMA, clusters, cooperative groups, races between blocks, speed. x86-64 only.
#pragma once
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <type_traits>

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

struct __nv_bfloat16 {
  uint16_t bits;
};
inline float __bfloat162float(__nv_bfloat16 b) { return std::bit_cast<float>(uint32_t(b.bits) << 16); }
inline __nv_bfloat16 __float2bfloat16(float f) {  // to nearest even, as the card does
  const uint32_t u = std::bit_cast<uint32_t>(f);
  if ((u & 0x7fffffffu) > 0x7f800000u) return {0x7fff};
  return {uint16_t((u + 0x7fffu + ((u >> 16) & 1u)) >> 16)};
}

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static  // blocks run one at a time
#define __restrict__ __restrict

namespace shim {

struct Index {
  unsigned x, y, z;
};
// Of the thread that runs now.
extern thread_local Index thread_index, block_index;
extern thread_local dim3 block_size, grid_size;
extern thread_local unsigned char* dynamic_shared;

void set_order(int);  // of threads and warps: 0 forward, 1 backward, else shuffled by this seed
void sync_block(const char* where);
uint64_t exchange(uint64_t mine, int from_lane);  // what lane `from_lane` gave; one's own where there is no such lane
int lane();
void launch(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& body);
// While a graph is captured: keeps `work` for its launches and returns true.
bool defer(std::function<void()> work);
void check_pointer(const void*, const char* kernel);  // null or device memory, else an error

template <class T>
void check_argument(const T& a, const char* kernel) {
  if constexpr (std::is_pointer_v<T>) check_pointer(static_cast<const void*>(a), kernel);
}

template <class T>
T exchange_as(T v, int from) {
  static_assert(sizeof(T) <= 8);
  uint64_t u = 0;
  std::memcpy(&u, &v, sizeof v);
  u = exchange(u, from);
  std::memcpy(&v, &u, sizeof v);
  return v;
}

}  // namespace shim

#define threadIdx (shim::thread_index)
#define blockIdx (shim::block_index)
#define blockDim (shim::block_size)
#define gridDim (shim::grid_size)
#define SHIM_TEXT2(x) #x
#define SHIM_TEXT(x) SHIM_TEXT2(x)
#define __syncthreads() shim::sync_block(__FILE__ ":" SHIM_TEXT(__LINE__))
#define __syncwarp(...) ((void)shim::exchange(0, -1))
#define __shfl_xor_sync(mask, v, x) shim::exchange_as((v), shim::lane() ^ (x))
#define __shfl_sync(mask, v, from) shim::exchange_as((v), (from)&31)

using std::max;
using std::min;
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __uint_as_float(uint32_t u) { return std::bit_cast<float>(u); }
inline uint32_t __byte_perm(uint32_t x, uint32_t y, uint32_t s) {  // byte i: the s_i-th of x's four, then y's four
  const uint64_t both = uint64_t(y) << 32 | x;
  uint32_t out = 0;
  for (int i = 0; i < 4; ++i) out |= uint32_t(both >> (s >> 4 * i & 7) * 8 & 0xff) << 8 * i;
  return out;
}
inline uint32_t __float_as_uint(float x) { return std::bit_cast<uint32_t>(x); }
inline float __expf(float x) { return std::exp(x); }

// The part of the runtime that our code calls.
enum cudaError_t { cudaSuccess = 0, cudaErrorMemoryAllocation = 2, cudaErrorInsufficientDriver = 35, cudaErrorNoDevice = 100 };
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
enum { cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2 };
struct cudaDeviceProp {
  char name[256];
  int major, minor, multiProcessorCount;
  size_t totalGlobalMem;
};
using cudaStream_t = void*;
using cudaEvent_t = void*;
cudaError_t cudaMalloc(void**, size_t);
cudaError_t cudaFree(void*);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t, cudaMemcpyKind, cudaStream_t);
cudaError_t cudaMemsetAsync(void*, int, size_t, cudaStream_t);
cudaError_t cudaMallocHost(void**, size_t);
inline cudaError_t cudaFreeHost(void* p) { return std::free(p), cudaSuccess; }
struct ShimGraph;
using cudaGraph_t = ShimGraph*;
using cudaGraphExec_t = ShimGraph*;
enum cudaStreamCaptureMode { cudaStreamCaptureModeRelaxed = 2 };
cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode);
cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t*);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t*, cudaGraph_t, unsigned long long);
cudaError_t cudaGraphLaunch(cudaGraphExec_t, cudaStream_t);
cudaError_t cudaGraphDestroy(cudaGraph_t);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t);
inline const char* cudaGetErrorString(cudaError_t e) { return e == cudaErrorMemoryAllocation ? "out of memory" : "error"; }
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* s, unsigned) { return *s = nullptr, cudaSuccess; }
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned) { return *e = nullptr, cudaSuccess; }
inline cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaGetDeviceCount(int* n) { return *n = 1, cudaSuccess; }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp*, int);
template <class F>
cudaError_t cudaFuncSetAttribute(F, cudaFuncAttribute, int) {
  return cudaSuccess;
}

#!/usr/bin/env bash
# From the repository's root. ./dev gpu: what a card proves and measures, in under eight minutes. ./dev bench --device cuda (gpu.sh
# bench): only measures, and PyTorch beside it where it is installed. Needs nvcc, cuBLASLt and CMake; uses cuDNN and
# compute-sanitizer where they are. Nothing is installed or fetched. Logs go to $OUT (default: build-gpu).
set -euo pipefail
out=${OUT:-build-gpu}
bad=0
failed() { bad=1; echo "FAILED: $1"; }
step() { echo "== $1 ($SECONDS s)"; }

card() { [ -e /dev/nvidiactl ] || [ -e /dev/dxg ]; }  # the latter in Windows' Linux
if [ "${1:-}" = bench ] && ! card; then
  echo "./dev bench --device cuda: no NVIDIA card answers here (no /dev/nvidiactl); ./dev bench measures the processors" >&2
  exit 1
fi

mkdir -p "$out"
step build
targets=(gpu_bench)
[ "${1:-}" = bench ] || targets+=(gpu_tests)
generator=()
command -v ninja >/dev/null && generator=(-G Ninja)
{ cmake -S tests/cuda -B build-gpu "${generator[@]}" && cmake --build build-gpu -j "$(nproc)" --target "${targets[@]}"; } >"$out/build.log" 2>&1 ||
  { tail -n 40 "$out/build.log"; exit 1; }

if [ "${1:-}" = bench ]; then
  step bench
  timeout 400 build-gpu/gpu_bench --json "$out/bench.json" >"$out/bench.log" 2>&1 || { tail -n 40 "$out/bench.log"; exit 1; }
  peers=()
  if python3 -c 'import torch' 2>/dev/null; then
    step PyTorch
    timeout 900 python3 tests/bench/torch_peer.py --device cuda --json "$out/peer.json" >"$out/peer.log" 2>&1 &&
      peers=("$out/peer.json") || { echo "FAILED: torch_peer.py, so its rows are missing:"; tail -n 20 "$out/peer.log"; bad=1; }
  fi
  step table
  python3 tests/bench/beside.py "$out/bench.json" "${peers[@]}" || failed table
  exit $bad
fi

# Without a card in sight: one line, no crash.
step "no driver"
code=0
CUDA_VISIBLE_DEVICES= build-gpu/gpu_bench >"$out/hidden.log" 2>&1 || code=$?
cat "$out/hidden.log"
[ $code = 1 ] && [ "$(wc -l <"$out/hidden.log")" = 1 ] && grep -q 'no CUDA card answers here' "$out/hidden.log" || failed "a hidden card's line"

if ! card; then
  echo "./dev gpu: all of it builds; no NVIDIA card answers here (no /dev/nvidiactl), so nothing more was run" >&2
  exit 1
fi

# The same ops on both devices, losses and 20 steps of training against the CPU's, the same bits twice, replayed drawings, out of
# memory: with our own attention, then with cuDNN's.
tests() {  # NAME VARIABLE=VALUE
  step "tests, $1"
  env "$2" DUET_SHOW_ERRORS=1 timeout 150 build-gpu/gpu_tests >"$out/tests-$1.log" 2>&1 || failed "tests, $1"
  grep -vE '^(ok|\[|.* error .* tolerance)' "$out/tests-$1.log" | head -n 30 || true
}
tests own DUET_CUDNN=0
tests cudnn DUET_CUDNN=1

if command -v compute-sanitizer >/dev/null; then
  # At the same time: each is slow, and none is measured. The library's kernels are not ours to check.
  step sanitizer
  check() {  # TOOL SUITE OPTION...
    local tool=$1 suite=$2
    shift 2
    DUET_CUDNN=0 DUET_APART=1 timeout 140 compute-sanitizer --tool "$tool" --error-exitcode 9 "$@" build-gpu/gpu_tests "--gtest_filter=$suite.*" \
      >"$out/$tool-$suite.log" 2>&1
  }
  declare -A running
  for suite in Cuda CudaSampler CudaModel CudaConv CudaDecode CudaReplay; do check memcheck $suite & running[memcheck-$suite]=$!; done
  for suite in Cuda CudaConv CudaDecode; do check racecheck $suite & running[racecheck-$suite]=$!; done
  for suite in Cuda CudaSampler CudaConv CudaDecode; do check initcheck $suite & running[initcheck-$suite]=$!; done
  for name in "${!running[@]}"; do
    code=0
    wait "${running[$name]}" || code=$?
    echo "$name: $(grep -E 'ERROR SUMMARY|RACECHECK SUMMARY' "$out/$name.log" || echo "no summary")"
    if [ $code = 124 ]; then echo "$name: did not finish in its time"; elif [ $code != 0 ]; then failed "$name"; fi
  done
else
  echo "compute-sanitizer: not here"
fi

step bench
{ timeout 120 build-gpu/gpu_bench || failed bench; } 2>&1 | tee "$out/bench.log"
step done
[ $bad = 0 ] && ! grep -q '^FAILED' "$out/bench.log"

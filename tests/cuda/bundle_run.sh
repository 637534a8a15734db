#!/usr/bin/env bash
# run.sh CONFIG [--set KEY=VALUE...]: trains on the card (DEVICE=cpu on the processors) for at most TIME seconds (default 540: then it
# saves and leaves), and writes weights, logs and the last samples to $OUT (default: out), in files of at most 15 MiB:
#   cat model.safetensors.* > model.safetensors
set -uo pipefail
[ $# -ge 1 ] || { grep '^#' "$0" | sed 1d; exit 2; }
out=$(mkdir -p "${OUT:-out}" && cd "${OUT:-out}" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")"
config=$1
shift
# Whatever way there is to unpack it.
[ -d lib ] || tar -xf lib.tar.xz 2>/dev/null || python3 -c 'import tarfile; tarfile.open("lib.tar.xz").extractall()' ||
  { echo "run.sh: lib.tar.xz: neither tar with xz nor python3 could unpack it" >&2; exit 1; }
run=run
resume=()
[ ! -e $run/log.jsonl ] || resume=(--resume)
begin=$(date +%s)
timeout -s INT -k 60 "${TIME:-540}" ./duet train "$config" --device "${DEVICE:-auto}" --set out=$run "${resume[@]}" "$@" >"$out/train.log" 2>&1
code=$?
spent=$(($(date +%s) - begin))
tr '\r' '\n' <"$out/train.log" | grep -v '^$' | tail -n 12
# 124: the time was up, and a checkpoint was saved.
[ $code = 0 ] || [ $code = 124 ] || { echo "run.sh: training failed with $code after $spent s; see train.log"; exit $code; }
if [ ! -e $run/model/model.safetensors ]; then
  ./duet train "$config" --device cpu --set out=$run "$@" --export $run/model || exit 1
fi
cp $run/config.toml $run/log.jsonl "$out/"
cp $run/model/model.safetensors "$out/" && (cd "$out" && if [ "$(stat -c %s model.safetensors)" -gt $((15 << 20)) ]; then
  split -b 15M -d model.safetensors model.safetensors. && rm model.safetensors
fi)
last=$(ls $run/samples/*.png 2>/dev/null | tail -n 1)
[ -z "$last" ] || cp "$last" "$out/samples.png"
echo "trained $spent s; $(tail -n 1 $run/log.jsonl)" | tee "$out/time.txt"

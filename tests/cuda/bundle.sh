#!/usr/bin/env bash
# bundle.sh DUET FOLDER [DATA FOLDER...]: the program, the libraries that only this system has, configs, tokenizers and data in one
# folder that runs on a machine with nothing but a driver, the CUDA toolkit's libraries and a C++ run time (run.sh there).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
duet=$1 to=$2
shift 2
most=$((64 << 20))

rm -rf "$to"
mkdir -p "$to/lib" "$to/data"
strip -o "$to/duet" "$duet"
# What every machine with a C++ program has, and what belongs to its driver.
there='^(ld-linux.*|lib(c|m|dl|rt|pthread|resolv|stdc\+\+|gcc_s)\.so.*|libcuda\.so.*|libnvidia.*)$'
missing=$(ldd "$duet" | awk '/not found/ {print $1}')
[ -z "$missing" ] || { echo "bundle: $duet needs what is not here: $missing" >&2; exit 1; }
ldd "$duet" | awk '$2 == "=>" {print $1, $3}' | while read -r name path; do
  [[ $name =~ $there ]] || { cp -L "$path" "$to/lib/$name" && chmod u+w "$to/lib/$name" && strip "$to/lib/$name"; }
done
# Resolved here as it will be there: by the run path alone.
env -i LD_LIBRARY_PATH= ldd "$to/duet" | awk '$2 == "=>" {print $1, $3}' | while read -r name path; do
  [[ $name =~ $there || $(readlink -f "$path") == "$(readlink -f "$to")"/lib/* ]] ||
    { echo "bundle: $name would come from $path; build with preset bundle, whose run path is the folder's own" >&2; exit 1; }
done
# The lowest level: higher ones save a tenth and take ten times as long.
XZ_OPT=-1 tar -C "$to" -cJf "$to/lib.tar.xz" lib
rm -r "$to/lib"
(cd "$root" && cp --parents -r assets/configs assets/*/tokenizer.json tests/golden/tokenizer.json "$(cd "$to" && pwd)")
for d in "$@"; do
  [ -d "$d" ] || { echo "bundle: $d is no folder of data" >&2; exit 1; }
  cp -rL "$d" "$to/data/"
done
cp "$root/tests/cuda/bundle_run.sh" "$to/run.sh"
size=$(du -sb "$to" | cut -f1)
echo "bundle: $to, $((size >> 20)) MiB; there: OUT=folder $(basename "$to")/run.sh CONFIG [--set KEY=VALUE...]"
if [ "$size" -gt $most ]; then
  echo "bundle: more than 64 MiB; leave out data. The largest:" >&2
  du -ab "$to" | sort -n | tail -6 >&2
  exit 1
fi

#!/bin/sh
# Runs Engram's GPU tests and benchmarks on this machine, which needs no network, no Node and no installation.
# ./run.sh --help tells what can be chosen; results are written to results/ beside this file.
set -eu
home=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

# Once: what is unpacked stays.
unpack() {
  if [ -e "$2" ] && [ ! "$1" -nt "$2" ]; then return 0; fi
  mkdir -p "$(dirname -- "$2")"
  if command -v xz >/dev/null; then
    xz -dc "$1" >"$2.part"
  elif command -v python3 >/dev/null; then
    python3 -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), open(sys.argv[2], "wb"))' "$1" "$2.part"
  else
    echo "engram-gpu: neither xz nor python3 is here to unpack $1" >&2
    return 1
  fi
  chmod 755 "$2.part"
  mv "$2.part" "$2"
}
unpack "$home/packed/node.xz" "$home/app/bin/node"
for packed in "$home"/packed/linux-*.dawn.node.xz; do
  name=$(basename -- "$packed")
  unpack "$packed" "$home/app/node_modules/webgpu/dist/${name%%.*}/dawn.node"
done

# Dawn opens the Vulkan loader by its name, and the loader the driver; containers mount NVIDIA's where no loader looks.
for folder in "$home/lib" /usr/local/nvidia/lib64 /usr/local/nvidia/lib; do
  if [ -d "$folder" ]; then LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder; fi
done
export LD_LIBRARY_PATH
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-${TMPDIR:-/tmp}}"
# Here a test that is skipped for want of a GPU is a failure.
export ENGRAM_GPU=require
# A package that happens to lie above this folder must not come in.
unset NODE_PATH NODE_OPTIONS

exec "$home/app/bin/node" "$home/app/code/engram-gpu.mjs" "$@"

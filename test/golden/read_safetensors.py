#!/usr/bin/env python3
"""Reads a safetensors file from the format's description alone, and prints it as JSON.

Independent of Engram: struct and json of the standard library. Run

    python3 test/golden/read_safetensors.py FILE
"""
import json
import struct
import sys

raw = open(sys.argv[1], "rb").read()
(length,) = struct.unpack_from("<Q", raw)
header = json.loads(raw[8 : 8 + length].decode("utf-8"))
metadata = header.pop("__metadata__", {})
data, covered, tensors = raw[8 + length :], 0, {}
assert (8 + length) % 8 == 0 and raw[8:9] == b"{"
for name, info in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
    begin, end = info["data_offsets"]
    assert info["dtype"] == "F32" and begin == covered and (end - begin) % 4 == 0
    tensors[name] = {"shape": info["shape"], "values": list(struct.unpack("<%df" % ((end - begin) // 4), data[begin:end]))}
    covered = end
assert covered == len(data)
print(json.dumps({"metadata": metadata, "tensors": tensors}))

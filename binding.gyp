# The addon is described once, in native/CMakeLists.txt; this lets `node-gyp rebuild` reach the same script.
{
  "targets": [{
    "target_name": "engram_native",
    "type": "none",
    "actions": [{
      "action_name": "cmake_js",
      "inputs": ["native/CMakeLists.txt", "native/install.mjs"],
      "outputs": ["native/build/Release/engram_native.node"],
      "action": ["node", "native/install.mjs"]
    }]
  }]
}

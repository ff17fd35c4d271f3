# SPDX-License-Identifier: MIT
# What `npm install` compiles with npm's own node-gyp where cmake is not there: the addon, and holdfastd beside it.
{
  "includes": ["native/core/sources.gypi"],
  "target_defaults": {
    "include_dirs": ["native/include", "native/core"],
    "defines": ["_GNU_SOURCE"],
    "cflags": ["-fvisibility=hidden", "-fstack-protector-strong", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"],
    "cflags_c": ["-std=c11", "-O2", "-fPIC"],
    "cflags_cc": ["-O2"]
  },
  "targets": [
    {
      "target_name": "holdfast_core",
      "type": "static_library",
      "sources": ["<@(core_sources)"]
    },
    {
      "target_name": "holdfast",
      "dependencies": ["holdfast_core"],
      "sources": ["<@(addon_sources)"],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      # A Worker that is terminated while it is in here can throw no more: without the last one node-addon-api ends the whole process.
      "defines": ["NAPI_VERSION=8", "NAPI_DISABLE_CPP_EXCEPTIONS", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      # nodelete: an addon that a Worker loaded first would be unloaded at the Worker's end, under its own threads.
      "ldflags": ["-Wl,-z,relro,-z,now,-z,nodelete"],
      "libraries": ["-lm"]
    },
    {
      "target_name": "holdfastd",
      "type": "executable",
      "dependencies": ["holdfast_core"],
      "sources": ["native/daemon/main.c"],
      "ldflags": ["-pthread", "-Wl,-z,relro,-z,now"],
      "libraries": ["-lm"]
    }
  ]
}

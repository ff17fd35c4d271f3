// SPDX-License-Identifier: MIT
// What was measured on.
import { cpus, release, totalmem } from 'node:os';

export function machine() {
  return {
    at: new Date().toISOString(),
    kernel: release(),
    processors: cpus().length,
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    memoryBytes: totalmem(),
    node: process.versions.node,
  };
}

export function machineLine({ processors, processor, kernel, node }) {
  return `${processors} x ${processor}, Linux ${kernel}, Node ${node}`;
}

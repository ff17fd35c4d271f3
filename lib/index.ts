/** holdfast: the names in camelCase. `holdfast/exos` has the documented ones letter for letter. */
export { DeadlockDetectedError, type ErrorCode, ExosError, PicklingError, ValueError } from './errors.js';
export { currentThread } from './heartbeat/current.js';
export { type EventLoopOptions, monitorEventLoop } from './heartbeat/loop.js';
export type { MonitoredThread } from './heartbeat/monitored.js';
export { Thread } from './heartbeat/thread.js';
export { type ConnectOptions, connect } from './manager/connect.js';
export { Manager, type ManagerOptions } from './manager/manager.js';
export type {
  Client,
  ClientEvent,
  ClientListener,
  EventType,
  Failure,
  FailureCause,
  HoldfastEvent,
  ProcessControl,
  ProcessSpec,
  ProcessStatus,
  ResourceLimit,
  SignalName,
  Status,
  ThreadStatus,
} from './manager/types.js';
export { isCapabilitySupported } from './misc/capability.js';
export { getSystemMac } from './misc/mac.js';
export { getSysname } from './misc/sysname.js';
export { getProcessName, getProcessState, ready, setProcessName, waitForStateSync } from './process/process.js';
export { ProcessState } from './process/state.js';

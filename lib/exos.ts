/** The documented names of the EXOS "System" page, letter for letter: the same objects as in `holdfast` and `holdfast/pool`. */
export {
  DeadlockDetectedError,
  ExosError,
  getProcessName as get_process_name,
  getProcessState as get_process_state,
  getSysname as get_sysname,
  getSystemMac as get_system_mac,
  isCapabilitySupported as is_capability_supported,
  PicklingError,
  ProcessState,
  ready,
  setProcessName as set_process_name,
  Thread,
  ValueError,
} from './index.js';
export { MonitoredThreadPool } from './pool.js';

/** holdfast/pool: the monitored thread pool, apart because its base class, Piscina, is needed at once. */
export { MonitoredThreadPool, type PoolOptions, type RunOptions } from './heartbeat/pool.js';

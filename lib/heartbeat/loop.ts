/** monitorEventLoop: the loop of the calling thread beats by itself. */
import { isMainThread, threadId } from 'node:worker_threads';
import { isNativeError, publicly, ValueError } from '../errors.js';
import { show } from '../show.js';
import { checkedPeriodMs } from './checked.js';
import { hearts } from './hearts.js';

/** What `monitorEventLoop` takes beside the period. */
export interface EventLoopOptions {
  /**
   * In a process that no manager started: a native thread of it judges the loop. When it hangs, a report goes to stderr (and
   * to a file in `$HOLDFAST_REPORT_DIR` where that is set); then `abort` ends the process by SIGABRT, and `report` lets it
   * go on. Without it nothing judges. Under a manager the manager judges, and this is ignored.
   */
  onHang?: 'abort' | 'report' | undefined;
}

const BEATS_IN_PERIOD = 4;

/** Ends the monitoring that the last call began. */
let endCurrent: (() => void) | undefined;

/**
 * Monitors the event loop of the calling thread: if it does not turn for `periodSeconds`, the process fails and is
 * recovered. An idle loop is alive. The beats come from a timer of the loop, at a quarter of the period, without any
 * JavaScript; it keeps no process alive.
 *
 * Returns a function that ends it. Calling this again replaces period and options; what the call before returned does
 * nothing then. Throws a ValueError for a bad value, an ExosError (`ERR_HOLDFAST_FULL`) where the process has too many
 * monitored threads.
 */
export function monitorEventLoop(periodSeconds: number, options: EventLoopOptions = {}): () => void {
  const periodMs = checkedPeriodMs(periodSeconds);
  const onHang = checkedOnHang(options);
  endCurrent?.();
  const end = publicly(() => begin(periodMs, onHang));
  endCurrent = end;
  return end;
}

function begin(periodMs: number, onHang: EventLoopOptions['onHang']): () => void {
  const all = hearts();
  const cell = all.claim('loop', threadId, isMainThread ? 'event-loop' : `event-loop-${threadId}`);
  let isOver = false;
  const end = () => {
    if (isOver) return;
    isOver = true;
    all.deregister(cell);
    all.drop(cell); // ends the timer too
  };
  try {
    all.register(cell, periodMs, 1);
    all.beatFromLoop(cell, Math.max(1, Math.floor(periodMs / BEATS_IN_PERIOD)));
    if (onHang !== undefined) judge(() => all.judgeHere(cell, onHang));
  } catch (error) {
    end();
    throw error;
  }
  return end;
}

/** Nothing where a manager judges. */
function judge(here: () => void): void {
  try {
    here();
  } catch (error) {
    if (!isNativeError(error) || error.code !== 'ERR_HOLDFAST_EMOVE') throw error;
  }
}

function checkedOnHang(options: unknown): EventLoopOptions['onHang'] {
  const given = typeof options === 'object' && options !== null ? options : undefined;
  if (given === undefined) {
    throw new ValueError(`the options must be an object, and are ${show(options)}: write { onHang: 'report' }, or none`);
  }
  const onHang = 'onHang' in given ? given.onHang : undefined;
  if (onHang === undefined || onHang === 'abort' || onHang === 'report') return onHang;
  throw new ValueError(`onHang must be abort or report, and is ${show(onHang)}: write one of them, or leave it out`);
}

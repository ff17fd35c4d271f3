import { EventCursor } from '../manager/event-log.js';
import type { HoldfastEvent } from '../manager/types.js';
import { type Paint, paintFor, paintState } from './color.js';
import { noManager } from './fail.js';
import { formatTime } from './format.js';
import { managerLives, openTarget } from './session.js';
import { resolveTarget, type TargetOptions } from './target.js';

export interface EventsOptions extends TargetOptions {
  follow?: boolean;
}

const LOOK_AGAIN_MS = 1000;

/** What happened, in words: the move, or the kind of event, and what is known of the reason. */
function describe(event: HoldfastEvent, paint: Paint): string {
  const { type, from, to, detail, cause } = event;
  if (type !== 'state' || from === null || to === null) return detail === '' ? type : `${type}  ${detail}`;
  const move = `${paintState(from, paint)} → ${paintState(to, paint)}`;
  const why = detail === '' ? (cause ?? '') : detail;
  return why === '' ? move : `${move}  ${why}`;
}

/** One event as one line: when, who, what, why. */
export function eventLine(event: HoldfastEvent, paint: Paint, now?: Date): string {
  return `${paint.dim(formatTime(event.at, now))}  ${event.name ?? 'holdfastd'}  ${describe(event, paint)}`;
}

/** Shows the event log of an instance; with `follow` until the instance is gone. */
export async function events(options: EventsOptions): Promise<void> {
  const target = await resolveTarget(options);
  const operator = openTarget(target);
  if (operator === undefined) throw noManager(target.instance, target.dir);
  const paint = paintFor(process.stdout);
  try {
    const cursor = new EventCursor(operator, 'oldest');
    for (;;) {
      const seen = operator.changes();
      const isAlive = managerLives(operator); // asked first, so that the last words of a manager are still printed
      for (const event of cursor.read()) process.stdout.write(`${eventLine(event, paint)}\n`);
      if (!options.follow || !isAlive) break;
      await operator.wait(seen, LOOK_AGAIN_MS, true);
    }
    if (!managerLives(operator)) throw noManager(target.instance, target.dir);
  } finally {
    operator.close();
  }
}

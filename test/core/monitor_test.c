// SPDX-License-Identifier: MIT
// The monitor, with a clock that the test moves: what it condemns, when, and how much it looks at for that.
#include "heartbeat/monitor.h"

#include <stdlib.h>

#include "check.h"
#include "random.h"

#define MS UINT64_C(1000000)
#define S (1000 * MS)
enum { CELLS = 64 };

typedef struct cell {
  _Atomic uint32_t beat, busy_beat;
  _Atomic uint64_t busy_ns;
  int64_t id;
  uint64_t period, spoke_ns; // when it last truly beat
  uint64_t not_before_ns;    // due before then would be wrong
  uint64_t next_ns;          // its next beat, 0: it hangs
  uint64_t due_ns;           // when it was due last, 0: never
  uint64_t found_ns;         // when it was condemned, 0: it was not
  unsigned grace, dues, halves, seens;
  hf_silence silence;
} cell;

typedef struct world {
  hf_monitor *m;
  uint64_t now_ns, looked;
  cell cell[CELLS];
  cell *by_id[CELLS];
  hf_due answer;
  uint64_t later_ns;
  bool random_answers;
} world;

static hf_due on_due(void *context, uint32_t id, const hf_silence *silence, uint64_t now_ns, uint64_t *later_ns) {
  world *w = context;
  cell *c = w->by_id[id];
  CHECK(now_ns == w->now_ns);
  if (now_ns < c->not_before_ns)
    printf("  period %" PRIu64 " ns: due after %" PRIu64 " ns\n", c->period, now_ns - c->spoke_ns);
  CHECK(now_ns >= c->not_before_ns);
  CHECK(silence->silent_ns <= now_ns - c->spoke_ns || c->dues > 0);
  CHECK(silence->lateness_ns <= silence->silent_ns);
  c->dues++;
  c->due_ns = now_ns;
  c->silence = *silence;
  hf_due answer = w->answer;
  if (w->random_answers) {
    uint64_t dice = random_below(4);
    answer = dice == 0 ? HF_DUE_EXCUSED : dice == 1 ? HF_DUE_LATER : HF_DUE_CONDEMNED;
    w->later_ns = random_below(c->period);
  }
  if (answer == HF_DUE_CONDEMNED) {
    c->found_ns = now_ns;
    c->id = -1;
    w->by_id[id] = NULL;
  }
  if (answer == HF_DUE_EXCUSED) c->not_before_ns = now_ns + c->period * c->grace;
  if (answer == HF_DUE_LATER) c->not_before_ns += *later_ns = w->later_ns;
  return answer;
}

static void on_half(void *context, uint32_t id, uint64_t now_ns) {
  world *w = context;
  cell *c = w->by_id[id];
  CHECK(now_ns - c->spoke_ns >= c->period * c->grace / 2 || c->dues > 0);
  c->halves++;
}

static void on_seen(void *context, uint32_t id, uint32_t beat, uint64_t now_ns) {
  world *w = context;
  (void)now_ns;
  CHECK(atomic_load(&w->by_id[id]->beat) == beat);
  w->by_id[id]->seens++;
}

static uint64_t silent_ns(const world *w, const cell *c, uint64_t now_ns) {
  uint32_t beat;
  uint64_t seen_ns = hf_monitor_seen_ns(w->m, (uint32_t)c->id, &beat);
  return seen_ns != 0 && seen_ns < now_ns ? now_ns - seen_ns : 0;
}

static void open_world(world *w) {
  memset(w, 0, sizeof *w);
  w->now_ns = 5000 * S;
  hf_monitor_calls calls = {.due = on_due, .half = on_half, .seen = on_seen, .context = w};
  CHECK_EQ(hf_monitor_create(&w->m, &calls, NULL), 0);
}

static void close_world(world *w) { hf_monitor_destroy(w->m); }

static void spoke(cell *c, uint64_t at_ns) {
  atomic_fetch_add(&c->beat, 1);
  c->spoke_ns = at_ns;
  c->not_before_ns = at_ns + c->period * c->grace;
}

static cell *watch(world *w, unsigned number, uint64_t period, unsigned grace) {
  cell *c = &w->cell[number];
  memset(c, 0, sizeof *c);
  c->period = period;
  c->grace = grace;
  c->spoke_ns = w->now_ns;
  c->not_before_ns = w->now_ns + period * grace;
  c->id = hf_monitor_add(w->m, &c->beat, &c->busy_beat, &c->busy_ns, period, grace, w->now_ns, NULL);
  CHECK(c->id >= 0 && c->id < CELLS);
  w->by_id[c->id] = c;
  return c;
}

static void look(world *w, uint64_t to_ns) {
  w->now_ns = to_ns;
  w->looked += hf_monitor_sweep(w->m, to_ns);
  uint64_t next = hf_monitor_next(w->m);
  CHECK(next == 0 || next > to_ns); // else a loop that waits for it would spin
}

// Moves the clock until `end_ns`, looking when the monitor asks for it, or, with `grid_ns`, at the next multiple of that: a
// manager that seldom runs.
static void run(world *w, uint64_t end_ns, uint64_t grid_ns) {
  for (;;) {
    uint64_t next = hf_monitor_next(w->m);
    if (next != 0 && grid_ns != 0) next = (next + grid_ns - 1) / grid_ns * grid_ns;
    if (next == 0 || next > end_ns) break;
    look(w, next);
  }
  w->now_ns = end_ns;
}

static uint64_t log_uniform(uint64_t from, uint64_t decades) {
  uint64_t value = from;
  for (uint64_t i = 0; i < decades * 100; i++)
    if (random_below(2) == 1) value += value / 43; // up to 10 times a decade
  return value + random_below(value / 100 + 1);
}

TEST(a_silence_is_due_between_1_00_and_1_15_periods) {
  random_begin("detection");
  static double found[20000];
  unsigned count = 0;
  for (unsigned round = 0; round < 300; round++) {
    world w;
    open_world(&w);
    for (unsigned i = 0; i < CELLS; i++) {
      watch(&w, i, 10 * MS + random_below(10) * random_below(20 * S), 1);
      w.now_ns += random_below(10 * MS);
    }
    // Each beats once more, at any moment of its first 0.9 periods, and is never heard again.
    for (unsigned i = 0; i < CELLS; i++) w.cell[i].next_ns = w.now_ns + random_below(w.cell[i].period * 9 / 10);
    uint64_t next;
    while ((next = hf_monitor_next(w.m)) != 0) {
      for (unsigned i = 0; i < CELLS; i++) {
        cell *c = &w.cell[i];
        if (c->next_ns == 0 || c->next_ns > next || c->id < 0) continue;
        spoke(c, c->next_ns);
        c->next_ns = 0;
      }
      look(&w, next);
    }
    for (unsigned i = 0; i < CELLS; i++) {
      cell *c = &w.cell[i];
      CHECK(c->found_ns != 0);
      CHECK_EQ(c->silence.lateness_ns, 0);
      if (c->next_ns == 0) found[count++] = (double)(c->found_ns - c->spoke_ns) / (double)c->period;
    }
    close_world(&w);
  }
  double low = 9, high = 0, sum = 0;
  unsigned below_1_10 = 0;
  for (unsigned i = 0; i < count; i++) {
    if (found[i] < low) low = found[i];
    if (found[i] > high) high = found[i];
    sum += found[i];
    below_1_10 += found[i] <= 1.10;
  }
  printf("  %u hangs: %.4f to %.4f periods, mean %.4f, %.1f %% within 1.10\n", count, low, high, sum / count,
         100.0 * below_1_10 / count);
  CHECK(count > 10000 && low >= 1.0 && high <= 1.1500001);
  CHECK(below_1_10 * 2 > count); // the median
}

// Any periods, beats, answers and lateness: whoever is due was silent for that long, and who hangs is found.
TEST(nobody_is_due_too_early_whatever_comes_late) {
  random_begin("property");
  unsigned condemned = 0, late = 0, found_late = 0;
  for (unsigned round = 0; round < 200; round++) {
    static world w;
    open_world(&w);
    w.random_answers = true;
    unsigned patience = (unsigned)random_below(1000), used = 1 + (unsigned)random_below(CELLS - 1);
    for (unsigned i = 0; i < used; i++) {
      uint64_t period = log_uniform(10 * MS, random_below(5));
      cell *c = watch(&w, i, period, 1 + (unsigned)random_below(3));
      atomic_store(&c->beat, (uint32_t)random_next());
      c->next_ns = w.now_ns + random_below(period);
    }
    for (unsigned step = 0; step < 2000; step++) {
      uint64_t next = hf_monitor_next(w.m);
      if (next == 0) break;
      uint64_t dice = random_below(1000);
      uint64_t to = next + (dice < patience ? random_below(MS) : dice < 990 ? random_below(100 * MS) : random_below(20 * S));
      for (unsigned i = 0; i < used; i++) {
        cell *c = &w.cell[i];
        while (c->id >= 0 && c->next_ns != 0 && c->next_ns <= to) {
          spoke(c, c->next_ns);
          uint64_t pause =
              random_below(20) == 0 ? random_below(2 * c->period * c->grace) : random_below(c->period * c->grace);
          c->next_ns = random_below(50) == 0 ? 0 : c->next_ns + pause + 1;
          if (random_below(10) == 0) { // it is busy now
            uint64_t extra = random_below(5 * c->period);
            atomic_store(&c->busy_ns, extra);
            atomic_store(&c->busy_beat, atomic_load(&c->beat));
            c->not_before_ns += extra;
          }
        }
      }
      look(&w, to);
      late += !hf_monitor_on_time(w.m);
    }
    // Whoever has stopped is found, by a judge that is never on time again.
    w.random_answers = false;
    for (unsigned i = 0; i < used; i++) w.cell[i].next_ns = 0;
    for (unsigned step = 0; hf_monitor_next(w.m) != 0 && step < 100000; step++)
      look(&w, hf_monitor_next(w.m) + 100 * MS + random_below(200 * MS));
    CHECK_EQ(hf_monitor_count(w.m), 0);
    for (unsigned i = 0; i < used; i++) {
      condemned += w.cell[i].found_ns != 0;
      found_late += w.cell[i].silence.lateness_ns > 0;
    }
    close_world(&w);
    if (check_failures > 20) break;
  }
  printf("  %u condemned, %u of them with lateness, %u late looks\n", condemned, found_late, late);
  CHECK(condemned > 2000 && late > 1000 && found_late > 100);
}

TEST(a_beat_is_any_change_also_over_the_end_of_the_counter) {
  static world w;
  open_world(&w);
  cell *c = watch(&w, 0, 100 * MS, 1);
  atomic_store(&c->beat, UINT32_MAX - 2);
  for (int i = 0; i < 20; i++) {
    spoke(c, w.now_ns);
    run(&w, w.now_ns + 90 * MS, 0);
  }
  CHECK_EQ(c->dues, 0);
  CHECK_EQ(c->seens, 19); // all but the first, which came before half of its time was over
  CHECK(atomic_load(&c->beat) < 30);
  run(&w, w.now_ns + 30 * MS, 0);
  CHECK(c->found_ns != 0);
  close_world(&w);
}

TEST(grace_is_counted_in_periods) {
  static world w;
  open_world(&w);
  cell *c = watch(&w, 0, 1 * S, 3);
  uint64_t began = w.now_ns;
  run(&w, began + 10 * S, 0);
  CHECK(c->found_ns >= began + 3 * S && c->found_ns <= began + 3 * S + 150 * MS);
  CHECK_EQ(c->halves, 1);
  CHECK_EQ(hf_monitor_count(w.m), 0);
  CHECK_EQ(hf_monitor_next(w.m), 0);
  close_world(&w);
}

static void busy(cell *c, uint64_t extra) {
  atomic_store(&c->busy_ns, extra);
  atomic_store(&c->busy_beat, atomic_load(&c->beat) + 1);
  atomic_fetch_add(&c->beat, 1);
}

TEST(busy_puts_one_deadline_off) {
  static world w;
  open_world(&w);
  cell *c = watch(&w, 0, 1 * S, 1);
  run(&w, w.now_ns + 500 * MS, 0);
  uint64_t began = w.now_ns;
  busy(c, 5 * S);
  c->not_before_ns = began + 6 * S;
  run(&w, began + 5900 * MS, 0);
  CHECK_EQ(c->dues, 0);
  spoke(c, w.now_ns); // in time: from now on the period counts again
  run(&w, w.now_ns + 10 * S, 0);
  CHECK(c->found_ns >= began + 6900 * MS && c->found_ns <= began + 7050 * MS);
  c = watch(&w, 0, 1 * S, 1);
  began = w.now_ns;
  busy(c, 5 * S);
  c->not_before_ns = began + 6 * S;
  run(&w, began + 20 * S, 0);
  CHECK(c->found_ns >= began + 6 * S && c->found_ns <= began + 6150 * MS); // and ends
  c = watch(&w, 0, 1 * S, 1);
  busy(c, UINT64_MAX);
  c->not_before_ns = UINT64_MAX;
  run(&w, w.now_ns + 3600 * S, 0);
  CHECK_EQ(c->found_ns, 0);
  close_world(&w);
}

TEST(who_is_excused_begins_anew) {
  static world w;
  open_world(&w);
  cell *c = watch(&w, 0, 1 * S, 1);
  uint64_t began = w.now_ns;
  w.answer = HF_DUE_EXCUSED;
  run(&w, began + 10 * S, 0);
  CHECK(c->dues >= 8 && c->dues <= 10); // once a period, not once a sweep
  CHECK_EQ(c->found_ns, 0);
  CHECK_EQ(c->halves, c->dues + 1 - (w.now_ns - c->due_ns < 550 * MS)); // once for each silence
  CHECK(silent_ns(&w, c, w.now_ns) <= 1 * S);
  w.answer = HF_DUE_CONDEMNED;
  run(&w, w.now_ns + 2 * S, 0);
  CHECK(c->found_ns != 0);
  close_world(&w);
}

TEST(who_gets_no_processor_is_put_off_by_that) {
  static world w;
  open_world(&w);
  cell *c = watch(&w, 0, 1 * S, 1);
  uint64_t began = w.now_ns, before = w.looked;
  w.answer = HF_DUE_LATER;
  w.later_ns = 30 * MS;
  run(&w, began + 1295 * MS, 0);
  CHECK(c->dues >= 8 && c->dues <= 10);
  w.later_ns = 0; // grants nothing: asked again, but neither at once nor for ever
  run(&w, began + 2 * S, 0);
  CHECK(c->dues >= 20 && w.looked - before < 100);
  w.later_ns = UINT64_MAX;
  c->not_before_ns = 0;
  unsigned dues = c->dues + 1;
  run(&w, began + 3600 * S, 0);
  CHECK_EQ(c->dues, dues);
  CHECK_EQ(c->halves, 1);
  close_world(&w);
}

// A manager that was stopped: who beat meanwhile, who was stopped with it, who hangs.
TEST(a_judge_that_was_away_condemns_nobody_for_it) {
  static const uint64_t periods[] = {100 * MS, 1 * S, 2 * S, 10 * S};
  for (unsigned i = 0; i < 4; i++) {
    static world w;
    uint64_t period = periods[i];
    open_world(&w);
    cell *beating = watch(&w, 0, period, 1), *stopped = watch(&w, 1, period, 1), *hung = watch(&w, 2, period, 1);
    run(&w, w.now_ns + period * 95 / 100, 0); // all nearly due
    atomic_fetch_add(&beating->beat, 5);
    look(&w, w.now_ns + 10 * period);
    CHECK(!hf_monitor_on_time(w.m));
    uint64_t back = w.now_ns;
    CHECK_EQ(beating->dues + stopped->dues + hung->dues, 0);
    run(&w, back + period * 115 / 1000, 0); // a whole interval, whatever was left: it needs a moment to come back as well
    CHECK_EQ(beating->dues + stopped->dues + hung->dues, 0);
    spoke(beating, w.now_ns);
    spoke(stopped, w.now_ns);
    run(&w, back + period, 0);
    CHECK_EQ(beating->dues + stopped->dues, 0);
    CHECK(hung->found_ns > back && hung->found_ns <= back + period * 30 / 100);
    CHECK(hung->silence.lateness_ns >= 10 * period &&
          hung->silence.silent_ns >= hung->silence.lateness_ns + period * 95 / 100);
    CHECK(hf_monitor_on_time(w.m));
    close_world(&w);
  }
}

// It runs for a millisecond in every 20, or far more seldom; who lives beats at 0.9 of the period all the while.
TEST(a_judge_that_is_always_late_still_finds_who_hangs) {
  random_begin("always late");
  static const uint64_t periods[] = {100 * MS, 1 * S, 2 * S}, grids[] = {20 * MS, 60 * MS, 100 * MS};
  double worst = 0;
  for (unsigned round = 0; round < 600; round++) {
    static world w;
    uint64_t period = periods[round % 3], grid = grids[round / 3 % 3];
    if (grid > period / 5) continue;
    open_world(&w);
    w.now_ns += random_below(grid);
    cell *living = watch(&w, 0, period, 1), *hung = watch(&w, 1, period, 1);
    uint64_t hang_at = w.now_ns + 3 * period + random_below(2 * period), end = hang_at + 30 * period;
    living->next_ns = hung->next_ns = w.now_ns + random_below(period * 9 / 10);
    for (uint64_t at; (at = hf_monitor_next(w.m)) != 0 && w.now_ns < end;) {
      at = (at + grid - 1) / grid * grid + random_below(MS);
      while (living->next_ns <= at) {
        spoke(living, living->next_ns);
        living->next_ns += period * 9 / 10;
      }
      while (hung->found_ns == 0 && hung->next_ns <= at && hung->next_ns <= hang_at) {
        spoke(hung, hung->next_ns);
        hung->next_ns += period * 9 / 10;
      }
      look(&w, at);
    }
    CHECK_EQ(living->dues, 0);
    CHECK(hung->found_ns != 0);
    double after = (double)(hung->found_ns - hung->spoke_ns) / (double)period;
    if (after > worst) worst = after;
    close_world(&w);
  }
  printf("  the latest after %.3f periods\n", worst);
  CHECK(worst <= 3.5);
}

// Each look comes so late that the judge's own clock never moves.
TEST(constant_lateness_hides_nothing) {
  static world w;
  open_world(&w);
  cell *c = watch(&w, 0, 2 * S, 1);
  uint64_t began = w.now_ns;
  while (c->found_ns == 0 && w.now_ns < began + 20 * S) {
    look(&w, hf_monitor_next(w.m) + 100 * MS);
    CHECK(!hf_monitor_on_time(w.m));
  }
  CHECK(c->found_ns >= began + 6 * S && c->found_ns <= began + 7 * S);
  CHECK(c->silence.lateness_ns > 5 * S);
  // Gaps of an hour count for a period each.
  c = watch(&w, 0, 2 * S, 1);
  began = w.now_ns;
  for (int i = 0; i < 2; i++) look(&w, w.now_ns + 3600 * S);
  CHECK_EQ(c->dues, 0);
  look(&w, w.now_ns + 3600 * S);
  CHECK_EQ(c->dues, 1);
  close_world(&w);
}

TEST(a_clock_that_stands_still_or_goes_back_does_no_harm) {
  static world w;
  open_world(&w);
  cell *c = watch(&w, 0, 1 * S, 1);
  uint64_t next = hf_monitor_next(w.m);
  CHECK_EQ(hf_monitor_sweep(w.m, next - 1), 0);
  CHECK_EQ(hf_monitor_sweep(w.m, next), 1);
  for (int i = 0; i < 5; i++) CHECK_EQ(hf_monitor_sweep(w.m, next), 0);
  CHECK_EQ(hf_monitor_sweep(w.m, next - 10 * S), 0);
  CHECK_EQ(hf_monitor_sweep(w.m, 0), 0);
  CHECK(hf_monitor_next(w.m) > next);
  CHECK_EQ(silent_ns(&w, c, 0), 0);
  CHECK_EQ(c->dues, 0);
  run(&w, w.now_ns + 2 * S, 0);
  CHECK_EQ(c->dues, 1);
  close_world(&w);
}

static int64_t inherit(world *w, cell *c, uint64_t period, uint32_t seen_beat, uint64_t seen_ns) {
  c->period = period;
  c->grace = 1;
  c->spoke_ns = seen_ns;
  c->not_before_ns = w->now_ns;
  c->id = hf_monitor_inherit(w->m, &c->beat, &c->busy_beat, &c->busy_ns, period, 1, seen_beat, seen_ns, w->now_ns, NULL);
  w->by_id[c->id] = c;
  return c->id;
}

TEST(a_new_manager_inherits_the_age_of_a_silence) {
  static world w;
  open_world(&w);
  cell *old = &w.cell[0], *young = &w.cell[1], *spoken = &w.cell[2];
  uint64_t began = w.now_ns;
  inherit(&w, old, 1 * S, 0, began - 10 * S);
  inherit(&w, young, 1 * S, 0, began - 600 * MS);
  atomic_store(&spoken->beat, 8);
  inherit(&w, spoken, 1 * S, 7, began - 10 * S);
  spoken->spoke_ns = began;
  spoken->not_before_ns = began + 1 * S;
  CHECK_EQ(silent_ns(&w, old, began), 10 * S);
  CHECK_EQ(silent_ns(&w, young, began), 600 * MS);
  CHECK_EQ(silent_ns(&w, spoken, began), 0);
  run(&w, began + 5 * S, 0);
  CHECK(old->found_ns > began + 250 * MS && old->found_ns < began + 500 * MS); // after 3 sweeps of its own
  CHECK(old->silence.lateness_ns >= 10 * S && old->silence.silent_ns > 10 * S);
  CHECK(young->found_ns >= began + 1 * S && young->found_ns <= began + 1150 * MS);
  CHECK(spoken->found_ns >= began + 1 * S && spoken->found_ns <= began + 1150 * MS);
  close_world(&w);
}

// One that dies again and again, always after less than a period.
TEST(managers_that_die_again_and_again_hide_nothing) {
  static world w;
  uint64_t began = 5000 * S, now = began;
  unsigned lives = 0;
  for (bool found = false; !found && lives < 20; lives++) {
    open_world(&w);
    w.now_ns = now;
    inherit(&w, &w.cell[0], 1 * S, 0, began);
    run(&w, now + 600 * MS, 0);
    found = w.cell[0].found_ns != 0;
    now = w.now_ns;
    close_world(&w);
  }
  CHECK(lives >= 5 && lives <= 7);
}

static uint64_t looks_in(uint64_t duration, unsigned slow, bool fast) {
  _Atomic uint32_t *beat = calloc(slow + 1, sizeof *beat);
  hf_monitor_calls calls = {.due = on_due};
  hf_monitor *m;
  uint64_t looked = 0, now = 7 * S;
  CHECK_EQ(hf_monitor_create(&m, &calls, NULL), 0);
  for (unsigned i = 0; i < slow; i++) CHECK(hf_monitor_add(m, &beat[i], NULL, NULL, 1 * S, 1, now, NULL) >= 0);
  if (fast) CHECK(hf_monitor_add(m, &beat[slow], NULL, NULL, 10 * MS, 1, now, NULL) >= 0);
  for (uint64_t next; (next = hf_monitor_next(m)) <= 7 * S + duration;) {
    if (next / (100 * MS) != now / (100 * MS))
      for (unsigned i = 0; i < slow; i++) atomic_fetch_add_explicit(&beat[i], 1, memory_order_relaxed);
    now = next;
    atomic_fetch_add(&beat[slow], 1);
    looked += hf_monitor_sweep(m, now);
  }
  hf_monitor_destroy(m);
  free(beat);
  return looked;
}

TEST(a_fast_cell_adds_no_look_at_slow_ones) {
  uint64_t slow = looks_in(5 * S, 100000, false), fast = looks_in(5 * S, 0, true), both = looks_in(5 * S, 100000, true);
  printf("  in 5 s: %" PRIu64 " looks at 100000 slow cells, %" PRIu64 " at the fast one, %" PRIu64 " at both\n", slow, fast,
         both);
  CHECK_EQ(both, slow + fast);
  CHECK_EQ(slow, 100000 * 33); // 6.76 a second
}

// ---- removing and adding from callbacks: each cell lies in memory of its own, which goes with it ----
typedef struct crowd {
  hf_monitor *m;
  struct member {
    _Atomic uint32_t *beat;
    int64_t id;
  } member[200];
  int by_id[400];
  unsigned added, removed;
  uint64_t now_ns;
} crowd;

static void leave(crowd *c, unsigned i, bool tell) {
  if (c->member[i].beat == NULL) return;
  if (tell) hf_monitor_remove(c->m, (uint32_t)c->member[i].id);
  c->by_id[c->member[i].id] = -1;
  free(c->member[i].beat);
  c->member[i].beat = NULL;
  c->removed++;
}

static void join(crowd *c, unsigned i) {
  if (c->member[i].beat != NULL) return;
  c->member[i].beat = calloc(1, sizeof(_Atomic uint32_t));
  uint64_t period = (1 + random_below(20)) * 5 * MS;
  c->member[i].id = hf_monitor_add(c->m, c->member[i].beat, NULL, NULL, period, 1, c->now_ns, NULL);
  CHECK(c->member[i].id >= 0 && c->member[i].id < 400 && c->by_id[c->member[i].id] < 0);
  c->by_id[c->member[i].id] = (int)i;
  c->added++;
}

static void stir(crowd *c) {
  for (uint64_t i = random_below(4); i > 0; i--) leave(c, (unsigned)random_below(200), true);
  for (uint64_t i = random_below(4); i > 0; i--) join(c, (unsigned)random_below(200));
}

static hf_due crowd_due(void *context, uint32_t id, const hf_silence *silence, uint64_t now_ns, uint64_t *later_ns) {
  crowd *c = context;
  (void)silence, (void)now_ns;
  int who = c->by_id[id];
  CHECK(who >= 0);
  hf_due answer = (hf_due)random_below(3);
  *later_ns = random_below(10 * MS);
  if (answer == HF_DUE_CONDEMNED) leave(c, (unsigned)who, random_below(2) == 0); // by the monitor itself, or before
  stir(c);
  return answer;
}

static void crowd_half(void *context, uint32_t id, uint64_t now_ns) {
  crowd *c = context;
  (void)now_ns;
  CHECK(c->by_id[id] >= 0);
  if (random_below(4) == 0) stir(c);
}

static void crowd_seen(void *context, uint32_t id, uint32_t beat, uint64_t now_ns) {
  crowd *c = context;
  (void)now_ns, (void)beat;
  CHECK(c->by_id[id] >= 0);
  if (random_below(8) == 0) stir(c);
}

TEST(cells_come_and_go_in_the_middle_of_a_sweep) {
  random_begin("crowd");
  static crowd c;
  memset(&c, 0, sizeof c);
  memset(c.by_id, 0xff, sizeof c.by_id);
  hf_monitor_calls calls = {.due = crowd_due, .half = crowd_half, .seen = crowd_seen, .context = &c};
  CHECK_EQ(hf_monitor_create(&c.m, &calls, NULL), 0);
  c.now_ns = 9 * S;
  for (unsigned step = 0; step < 20000; step++) {
    stir(&c);
    for (unsigned i = 0; i < 20; i++) {
      unsigned who = (unsigned)random_below(200);
      if (c.member[who].beat != NULL) atomic_fetch_add(c.member[who].beat, 1);
    }
    uint64_t next = hf_monitor_next(c.m);
    if (next != 0) c.now_ns = next + random_below(3 * MS);
    hf_monitor_sweep(c.m, c.now_ns);
    unsigned there = 0;
    for (unsigned i = 0; i < 200; i++) there += c.member[i].beat != NULL;
    if (hf_monitor_count(c.m) != there) CHECK_EQ(hf_monitor_count(c.m), there);
    if (check_failures > 0) break;
  }
  printf("  %u came, %u went\n", c.added, c.removed);
  CHECK(c.added > 10000);
  for (unsigned i = 0; i < 200; i++) leave(&c, i, true);
  CHECK_EQ(hf_monitor_count(c.m), 0);
  CHECK_EQ(hf_monitor_next(c.m), 0);
  hf_monitor_destroy(c.m);
}

TEST(odd_values_are_brought_into_bounds) {
  static world w;
  open_world(&w);
  cell *c = watch(&w, 0, 1, 0);
  c->not_before_ns = w.now_ns + 1 * MS;
  run(&w, w.now_ns + 10 * MS, 0);
  CHECK(c->found_ns != 0);
  c = watch(&w, 1, UINT64_MAX, 1);
  cell *other = watch(&w, 2, UINT64_MAX / 2, 4000000000u);
  c->not_before_ns = other->not_before_ns = UINT64_MAX;
  run(&w, w.now_ns + 86400 * S, 0);
  CHECK_EQ(c->dues + other->dues, 0);
  hf_monitor_remove(w.m, 12345);
  hf_monitor_remove(w.m, (uint32_t)c->id);
  hf_monitor_remove(w.m, (uint32_t)c->id);
  CHECK_EQ(hf_monitor_count(w.m), 1);
  close_world(&w);
}

CHECK_MAIN

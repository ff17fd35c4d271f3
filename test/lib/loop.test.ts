/** monitorEventLoop outside of any manager: who beats, who judges, and that nothing of it keeps a process or hinders its end. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ValueError } from '../../lib/errors.js';
import { monitorEventLoop } from '../../lib/index.js';
import { dist, holdfast, nodes, run, runSource } from './alone.js';
import { cellOf, cells } from './cells.js';
import { until } from './stage.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-loop-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const well = { code: 0, signal: null, stderr: '' };

describe('in this process', () => {
  test('the loop beats by itself, until it is ended', async () => {
    const end = monitorEventLoop(0.04);
    expect(cellOf('event-loop')).toMatchObject({ armed: true, periodMs: 40, grace: 1 });
    const { beats } = cellOf('event-loop') ?? { beats: 0 };
    await until('three beats', () => (cellOf('event-loop')?.beats ?? 0) >= beats + 3);
    end();
    end();
    expect(cellOf('event-loop')).toBeUndefined();
  });

  test('a second call replaces the first, whose end does nothing then', () => {
    const first = monitorEventLoop(5);
    const second = monitorEventLoop(7);
    first();
    expect(cells().filter(({ name }) => name === 'event-loop')).toMatchObject([{ armed: true, periodMs: 7000 }]);
    second();
    expect(cellOf('event-loop')).toBeUndefined();
  });

  test('what is no period or no way to go on is refused, and changes nothing', () => {
    const end = monitorEventLoop(5);
    for (const period of [0, -1, Number.NaN, '5']) expect(() => monitorEventLoop(period as number)).toThrow(ValueError);
    expect(() => monitorEventLoop(1, { onHang: 'restart' as 'abort' })).toThrow(
      "onHang must be abort or report, and is 'restart': write one of them, or leave it out",
    );
    expect(() => monitorEventLoop(1, null as never)).toThrow(/^the options must be an object, and are null/);
    expect(cellOf('event-loop')).toMatchObject({ armed: true, periodMs: 5000 });
    end();
  });
});

describe.each(nodes)('%s', (node) => {
  test('an idle loop is alive, and a program with nothing to do ends', async () => {
    const started = performance.now();
    const source =
      "holdfast.monitorEventLoop(0.1, { onHang: 'abort' }); holdfast.currentThread().register(60); setTimeout(() => {}, 600);";
    expect(await runSource(source, { node })).toMatchObject(well);
    expect(performance.now() - started).toBeLessThan(8000);
    expect(await runSource('holdfast.monitorEventLoop(10); holdfast.currentThread().register(10);', { node })).toMatchObject(
      well,
    );
  });

  test('onHang: report writes it to stderr and a file, once for each hang, and goes on', async () => {
    const source = `
      import { readdirSync } from 'node:fs';
      const block = (reports) => { const end = Date.now() + 5000; while (readdirSync('${folder}').length < reports && Date.now() < end); };
      holdfast.monitorEventLoop(0.2, { onHang: 'report' });
      setTimeout(() => { block(1); setTimeout(() => { block(2); setTimeout(() => console.log('went on'), 300); }, 300); }, 100);`;
    const ended = await runSource(source, { node, env: { HOLDFAST_REPORT_DIR: folder } });
    expect(ended).toMatchObject({ code: 0, stdout: 'went on\n' });
    expect(ended.stderr.match(/^Because the event-loop /gm)).toHaveLength(2);
    const files = readdirSync(folder);
    expect(files).toHaveLength(2);
    expect(readFileSync(join(folder, files[0] ?? ''), 'utf8')).toContain('at block (');
  });

  test('onHang: abort ends it by SIGABRT, after the report', async () => {
    const source = "holdfast.monitorEventLoop(0.2, { onHang: 'abort' }); setTimeout(function spin() { while (true); }, 50);";
    const ended = await runSource(source, { node });
    expect(ended).toMatchObject({ code: null, signal: 'SIGABRT' });
    expect(ended.stderr).toMatch(/^where: Timeout\.spin \(/m);
  });

  test('a busy thread is not reported before its time', async () => {
    const source = `
      const block = (ms) => { const end = Date.now() + ms; while (Date.now() < end); };
      const { native } = await import(new URL('native.js', '${holdfast}'));
      const thread = holdfast.currentThread(); thread.register(0.2);
      native().hearts.judgeHere(native().hearts.claim('thread', 0, 'main'), 'report');
      thread.busy(1000, 'counting'); block(800); thread.keepalive(); thread.deregister();`;
    expect(await runSource(source, { node })).toMatchObject(well);
  });

  test('CommonJS has the same', async () => {
    const file = join(folder, 'program.cjs');
    writeFileSync(
      file,
      `const h = require('${join(dist, 'index.js')}'); h.monitorEventLoop(1); h.currentThread().register(1); console.log(h.currentThread().name);`,
    );
    const { code, stdout } = await run(file, { node });
    expect([code, stdout]).toEqual([0, 'main\n']);
  });

  test('the addon is loaded first in a Worker that ends, and the process goes on', async () => {
    const worker = `import('${holdfast}').then((h) => { h.monitorEventLoop(0.05); h.currentThread().register(9); h.currentThread().deregister(); setTimeout(() => {}, 100); })`;
    const source = `
      import { Worker } from 'node:worker_threads';
      new Worker(${JSON.stringify(worker)}, { eval: true }).on('exit', () => setTimeout(() => console.log('on'), 300));`;
    expect(await runSource(source, { node })).toMatchObject({ ...well, stdout: 'on\n' });
  });

  test.each(['worker.terminate()', 'worker.postMessage("exit")', 'process.exit(0)'])(
    'Workers whose loops beat end by %s',
    async (way) => {
      const worker = `
      Promise.all([import('node:worker_threads'), import('${holdfast}')]).then(([{ parentPort }, h]) => {
        h.monitorEventLoop(0.02, { onHang: 'report' });
        h.monitorEventLoop(0.01);
        parentPort.on('message', () => process.exit(0));
        setTimeout(() => parentPort.postMessage('up'), 40);
      })`;
      const source = `
      for (let i = 0; i < 8; i++) {
        const worker = new holdfast.Thread(${JSON.stringify(worker)}, { eval: true });
        worker.on('message', () => ${way});
      }
      holdfast.monitorEventLoop(0.02);
      process.on('exit', () => console.log('ends'));`;
      expect(await runSource(source, { node })).toMatchObject({ ...well, stdout: 'ends\n' });
    },
  );

  test('a Worker that hangs is terminated while its stack is taken', async () => {
    const source = `
      const spin = "import('${holdfast}').then((h) => { h.monitorEventLoop(0.02, { onHang: 'report' }); setTimeout(() => { for (;;); }, 30); })";
      const threads = Array.from({ length: 4 }, () => new holdfast.Thread(spin, { eval: true }));
      setTimeout(() => Promise.all(threads.map((thread) => thread.terminate())).then(() => console.log('all')), 600);`;
    expect(await runSource(source, { node })).toMatchObject({ code: 0, signal: null, stdout: 'all\n' });
  });
});

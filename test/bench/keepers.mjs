// SPDX-License-Identifier: MIT
// Those who keep a service alive, behind one interface: `prepare()` says why one can't take part (null: it can), `start(service)`
// starts it with `count` copies of `argv` and gives `{ pids, stop() }`, where `pids` are the keeper's own processes.
// Each has a folder of its own below `folder`; each is set as fast as its documentation allows.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as rest } from 'node:timers/promises';
import { findProgram, keep, run } from './command.mjs';

const PATIENCE_MS = 30_000;

/** What every service gets, whoever keeps it, as in native/bench/hold.c: one variable too many (NODE_EXTRA_CA_CERTS) makes the
 * start of Node three times as long. */
const ENV = { PATH: '/usr/local/bin:/usr/bin:/bin' };

async function until(condition, what) {
  for (const end = performance.now() + PATIENCE_MS; performance.now() < end; await rest(20)) {
    const result = condition();
    if (result) return result;
  }
  throw new Error(`${what} did not happen within ${PATIENCE_MS / 1000} s`);
}

function readPid(file) {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch {
    return 0;
  }
}

/** The bare respawner: node for node, C for C. */
export function bare(programs, part) {
  return {
    name: 'bare',
    prepare: async () => null,
    async start({ argv }) {
      const respawner =
        part === 'node'
          ? keep(process.execPath, [join(import.meta.dirname, 'respawn.cjs'), ...argv], { env: ENV })
          : keep(join(programs, 'bench-respawn'), argv, { env: ENV });
      return { pids: [respawner.pid], stop: () => respawner.stop('SIGTERM') };
    },
  };
}

export function holdfast(programs, folder) {
  return {
    name: 'holdfastd',
    prepare: async () => null,
    async start({ argv, count }) {
      const dir = `/dev/shm/holdfast-bench.${process.pid}`;
      const logs = join(folder, 'holdfast');
      const hold = (...args) => run(join(programs, 'bench-hold'), args);
      mkdirSync(logs);
      await hold('define', dir, logs, String(count), ...argv);
      const daemon = keep(join(programs, 'holdfastd'), ['--dir', dir, '--instance', 'bench'], { env: ENV });
      const stop = async () => {
        if (!daemon.gone()) await hold('down', dir);
        await daemon.over;
      };
      try {
        const pids = (await hold('ready', dir)).trim().split(' ').map(Number);
        return { pids, dir, stop };
      } catch (error) {
        await stop();
        throw error;
      }
    },
  };
}

/** Debian's. `startsecs 0` counts a start as good at once, and no number of restarts is too many. */
export function supervisord(folder) {
  let program;
  return {
    name: 'supervisord',
    async prepare() {
      program = await findProgram('supervisord');
      return program ? null : 'not installed: apt-get install supervisor';
    },
    async start({ argv, count }) {
      const home = join(folder, 'supervisord');
      mkdirSync(home);
      const config = join(home, 'supervisord.conf');
      writeFileSync(
        config,
        `[supervisord]
nodaemon=true
directory=${home}
logfile=${home}/supervisord.log
pidfile=${home}/supervisord.pid
childlogdir=${home}
[program:service]
command=${argv.join(' ')}
process_name=service%(process_num)d
numprocs=${count}
autostart=true
autorestart=true
startsecs=0
startretries=1000000
`,
      );
      const daemon = keep(program, ['-c', config], { env: ENV });
      await until(() => readPid(join(home, 'supervisord.pid')), 'the start of supervisord');
      return { pids: [daemon.pid], stop: () => daemon.stop('SIGTERM') };
    },
  };
}

/** Installed once, into `shared`. `interpreter: none` spares its wrapper script around a Node program. */
export function pm2(folder, shared) {
  const home = join(folder, 'pm2');
  const installed = join(shared, 'node_modules/pm2/bin/pm2');
  const env = { ...ENV, PM2_HOME: home, PM2_DISABLE_VERSION_CHECK: 'true', PM2_DISCRETE_MODE: 'true' };
  const command = (...args) => run(process.execPath, [installed, ...args], { env });
  return {
    name: 'pm2',
    async prepare() {
      mkdirSync(home);
      if (existsSync(installed)) return null;
      const problem = await run('npm', ['install', '--no-audit', '--no-fund', '--prefix', shared, 'pm2']).then(
        () => null,
        (error) => error,
      );
      return problem && `npm can't install it: ${problem.message.split('\n').find((line) => line.includes('error')) ?? ''}`;
    },
    async start({ argv: [script, ...args], count }) {
      const apps = Array.from({ length: count }, (_, i) => ({
        name: `service.${i + 1}`,
        script,
        args,
        interpreter: 'none',
        exec_mode: 'fork',
        cwd: home,
        pmx: false,
        vizion: false,
        treekill: false,
        min_uptime: 0,
        max_restarts: 1_000_000,
      }));
      const config = join(home, 'services.json');
      writeFileSync(config, JSON.stringify({ apps }));
      await command('start', config);
      return { pids: [readPid(join(home, 'pm2.pid'))], stop: () => command('kill') };
    },
  };
}

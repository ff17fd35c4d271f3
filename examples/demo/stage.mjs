// SPDX-License-Identifier: MIT
// The place of the demo: an instance of its own in memory, a folder for its logs, two free ports, and the real command line.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export const SHOP_FOLDER = join(import.meta.dirname, '../shop');
const CLI = join(import.meta.dirname, '../../dist/cli/main.js');
const DEADLINE_MS = 10_000;
/** What would tie the demo to another instance: the one of a shell, or of a manager above this process. */
const TIES = ['HOLDFAST_DIR', 'HOLDFAST_INSTANCE', 'HOLDFAST_ATTACH', 'HOLDFAST_ID'];

/** Something that was told did not happen. */
export class DemoError extends Error {}

export function expect(isTrue, what) {
  if (!isTrue) throw new DemoError(`this was expected and did not happen: ${what}`);
}

/** Tries `look` again until it has something; fails after 10 s with what was waited for. */
export async function until(what, look, everyMs = 2) {
  for (const end = performance.now() + DEADLINE_MS; performance.now() < end; await sleep(everyMs)) {
    const found = await look();
    if (found) return found;
  }
  throw new DemoError(`waited ${DEADLINE_MS / 1000} s for this: ${what}`);
}

/** Whether a process lives; a zombie does not. */
export function lives(pid) {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

function isListening(port) {
  return new Promise((resolve) => {
    const server = createServer().once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

/**
 * Two free ports, below those that the kernel gives to outgoing connections: while the shop is down the demo asks for it again
 * and again, and one of those connections could otherwise get the very port, and connect to itself.
 */
async function freePorts() {
  const lowest = Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/)[0]);
  const top = lowest > 12_000 ? lowest : 32_768;
  const held = [];
  await until('two free ports on 127.0.0.1', async () => {
    const server = await isListening(10_000 + Math.floor(Math.random() * (top - 10_000)));
    if (server) held.push(server);
    return held.length === 2;
  });
  const ports = held.map((server) => server.address().port);
  for (const server of held) await new Promise((closed) => server.close(closed));
  return ports;
}

export class Stage {
  #child;

  /** Everything is made here, and ended and removed by `strike()`. */
  static async build() {
    if (!existsSync(CLI)) throw new DemoError('dist/cli/main.js is missing: run `npm ci`, or `npm run build`, first');
    const [shopPort, pricesPort] = await freePorts();
    return new Stage(shopPort, pricesPort);
  }

  constructor(shopPort, pricesPort) {
    this.dir = mkdtempSync('/dev/shm/holdfast-demo-');
    this.logs = mkdtempSync(join(tmpdir(), 'holdfast-demo-'));
    this.url = `http://127.0.0.1:${shopPort}`;
    const ours = Object.entries(process.env).filter(([name]) => !TIES.includes(name));
    const place = { HOLDFAST_DIR: this.dir, XDG_STATE_HOME: this.logs };
    this.env = { ...Object.fromEntries(ours), ...place, SHOP_PORT: `${shopPort}`, PRICES_PORT: `${pricesPort}` };
  }

  /** Runs a command of holdfast in the folder of the shop, on this terminal; it has to end well. */
  async holdfast(...argv) {
    this.#child = spawn(process.execPath, [CLI, ...argv], {
      cwd: SHOP_FOLDER,
      env: this.env,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const [code, signal] = await once(this.#child, 'close');
    this.#child = undefined;
    expect(code === 0, `"holdfast ${argv.join(' ')}" ends with code 0; it ended with ${signal ?? `code ${code}`}`);
  }

  /** One request to the shop: status and body, or undefined where nobody answers. */
  ask(path) {
    return new Promise((resolve) => {
      const nobody = () => resolve(undefined);
      const request = get(`${this.url}${path}`, { agent: false, timeout: 2000 }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part) => {
          text += part;
        });
        response.on('end', () => resolve({ status: response.statusCode, body: JSON.parse(text) })).on('error', nobody);
      });
      request.on('timeout', () => request.destroy()).on('error', nobody);
    });
  }

  /** The processes that have to do with this instance, whatever became of their parents. */
  remaining() {
    return readdirSync('/proc').filter((pid) => {
      if (!/^\d+$/.test(pid) || !lives(pid)) return false;
      try {
        return ['cmdline', 'environ'].some((file) => readFileSync(`/proc/${pid}/${file}`).includes(this.dir));
      } catch {
        return false; // it ended meanwhile, or belongs to another user
      }
    });
  }

  /** Ends and removes everything, at once and without the event loop, so that nothing can begin anew in between. */
  strike() {
    this.#child?.kill('SIGKILL');
    if (existsSync(join(this.dir, 'segment'))) {
      const { status } = spawnSync(process.execPath, [CLI, 'down'], {
        cwd: SHOP_FOLDER,
        env: this.env,
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      if (status !== 0) {
        console.error(`demo: it could not be ended: run HOLDFAST_DIR=${this.dir} holdfast down`);
        process.exitCode = 1;
        return;
      }
    }
    for (const made of [this.dir, this.logs]) rmSync(made, { recursive: true, force: true });
  }
}

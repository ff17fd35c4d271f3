/**
 * Variables that differ from one shell to the next and mean nothing to a service, and those that only say which instance the
 * caller means, or to which systemd it belongs: the manager sets its own. A definition that held them would change, and
 * its process would be restarted, whenever `reload` is called from another terminal.
 */
const VOLATILE = new Set([
  '_',
  'COLUMNS',
  'HOLDFAST_ATTACH',
  'HOLDFAST_DIR',
  'HOLDFAST_HEARTBEAT',
  'HOLDFAST_ID',
  'HOLDFAST_INSTANCE',
  'INIT_CWD',
  'LINES',
  'LISTEN_FDNAMES',
  'LISTEN_FDS',
  'LISTEN_PID',
  'NOTIFY_SOCKET',
  'OLDPWD',
  'PWD',
  'SHLVL',
  'TERM_SESSION_ID',
  'WATCHDOG_PID',
  'WATCHDOG_USEC',
  'WINDOWID',
]);

function isVolatile(name: string): boolean {
  return VOLATILE.has(name) || name.startsWith('npm_');
}

/** The environment that processes inherit: that of the caller, without what only describes the shell or the npm script around it. */
export function inheritedEnvironment(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && !isVolatile(name)) kept[name] = value;
  }
  return kept;
}

/** What a systemd above says to the process that it started; holdfastd keeps it for itself. */
const SYSTEMD = ['NOTIFY_SOCKET', 'WATCHDOG_PID', 'WATCHDOG_USEC'];

/** The environment for holdfastd where this very process becomes it: it answers to the systemd that started this process. */
export function foregroundEnvironment(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const kept = inheritedEnvironment(env);
  for (const name of SYSTEMD) {
    const value = env[name];
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}

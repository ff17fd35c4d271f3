/**
 * Variables that differ from one shell to the next and mean nothing to a service, and those that only say which instance the
 * caller means: the manager sets its own. A definition that held them would change, and
 * its process would be restarted, whenever `reload` is called from another terminal.
 */
const VOLATILE = new Set([
  '_',
  'COLUMNS',
  'HOLDFAST_ATTACH',
  'HOLDFAST_DIR',
  'HOLDFAST_ID',
  'HOLDFAST_INSTANCE',
  'INIT_CWD',
  'LINES',
  'OLDPWD',
  'PWD',
  'SHLVL',
  'TERM_SESSION_ID',
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

/** The names that variables had in version 0.1.0. They are read for one release more, with a warning. */

const RENAMED = {
  GPU_RUNNER_URL: 'RUNNER_URL',
  GPU_RUNNER_TOKEN: 'RUNNER_TOKEN',
  SIGNED_URL_KEYS: 'IMAGE_LINK_KEYS',
  SIGNED_URL_SOURCES: 'IMAGE_LINK_SOURCES',
} as const;

const warned = new Set<string>();

/** The values of old names that still count: the variable of the new name is not set, or empty. */
export function renamedVariables(env: object): Record<string, unknown> {
  const values = env as Readonly<Record<string, unknown>>;
  const used = Object.entries(RENAMED).filter(([old, name]) => values[old] && !values[name]);
  for (const [old, name] of used) {
    if (warned.has(old)) continue;
    warned.add(old);
    console.warn(JSON.stringify({ level: 'warn', event: 'variable_renamed', variable: old, use: name }));
  }
  return Object.fromEntries(used.map(([old, name]) => [name, values[old]]));
}

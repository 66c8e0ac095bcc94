/**
 * Keys that a validator never reads: the schema does not have them. Kubernetes drops such keys without a word, and a schema
 * made from a custom resource definition does not forbid them.
 * @param validate called with a stand-in of `data` that behaves like it
 * @returns their paths, such as `.spec.minReplicas`
 */
export function keysNeverRead(data: object, validate: (data: object) => void): string[] {
  const read = new Set<string>();
  validate(watched(data, '', read));
  return pathsOf(data, '').filter((path) => !read.has(path));
}

function watched<T extends object>(data: T, path: string, read: Set<string>): T {
  return new Proxy(data, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof key === 'symbol' || !Object.hasOwn(target, key)) return value;
      const at = `${path}.${key}`;
      read.add(at);
      return typeof value === 'object' && value !== null ? watched(value, at, read) : value;
    },
  });
}

function pathsOf(data: object, path: string): string[] {
  return Object.entries(data).flatMap(([key, value]: [string, unknown]) => {
    const at = `${path}.${key}`;
    return typeof value === 'object' && value !== null ? [at, ...pathsOf(value, at)] : [at];
  });
}

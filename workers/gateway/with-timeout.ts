/**
 * What `work` gives, or the failure that `expired` makes when it takes longer than `ms`. The work itself is not stopped:
 * its later outcome, good or bad, is nobody's.
 */
export async function withTimeout<T>(work: Promise<T>, ms: number, expired: () => Error): Promise<T> {
  const timer = Promise.withResolvers<never>();
  const handle = setTimeout(() => timer.reject(expired()), ms);
  work.catch(() => undefined);
  try {
    return await Promise.race([work, timer.promise]);
  } finally {
    clearTimeout(handle);
  }
}

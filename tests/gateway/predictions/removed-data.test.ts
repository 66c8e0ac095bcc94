/** What the log of a prediction's webhooks still knows when its data was removed. */
import { afterEach, expect, it, vi } from 'vitest';
import { Deliveries } from '../../../workers/gateway/webhooks/deliveries.ts';
import { later, settled, start, succeeded } from '../support/job-events.ts';
import { onStage, type Stage } from '../support/subject.ts';

const DAY = 24 * 3600 * 1000;

afterEach(() => {
  vi.restoreAllMocks();
});

/** It sets no alarm of its own: that would wake the bound object, whose sender is a real one. */
class Unwatched extends Deliveries {
  override nextAttemptAt(): null {
    return null;
  }
}

/** A prediction that has ended and told a receiver, which answers with these, then with 204. */
function ended(statuses: number[], play: (stage: Stage, bodies: string[]) => Promise<void>): Promise<void> {
  const bodies: string[] = [];
  const send = async ({ body }: { readonly body: string }) => {
    bodies.push(body);
    return { status: statuses.shift() ?? 204, latencyMs: 1, retryAfterSeconds: null, error: null };
  };
  const ports = { stats: { count: () => undefined }, sender: { send }, random: () => 0 };
  const webhook = 'https://example.com/hook';
  return onStage({ command: { webhook }, ports: { deliveries: (sql) => new Unwatched(sql, ports) } }, async (stage) => {
    await start(stage);
    await stage.storeResult();
    await stage.subject().onJobEvent(stage.resultKey, 0, succeeded);
    await settled();
    await stage.subject().alarm();
    await play(stage, bodies);
  });
}

const kept = ({ state }: Stage): unknown[] =>
  state.storage.sql
    .exec('SELECT body FROM delivery')
    .toArray()
    .map(({ body }) => body);

it('what was delivered is forgotten with the data, and not sent again', () =>
  ended([], async (stage, bodies) => {
    expect(kept(stage)).toEqual(bodies);
    expect(await stage.subject().replay(1)).toBe('replayed');
    await stage.subject().alarm();
    expect(bodies).toEqual([bodies[0], bodies[0]]);
    later(30 * DAY);
    await stage.subject().alarm();
    expect(kept(stage)).toEqual(['']);
    expect(await stage.subject().replay(1)).toBe('gone');
    expect(stage.subject().deliveries()).toMatchObject([{ state: 'delivered', attempts: [{}, {}] }]);
  }));

it('what is still to be sent then is forgotten once it has arrived', () =>
  ended([204, 500], async (stage, bodies) => {
    later(30 * DAY - 1000);
    await stage.subject().replay(1);
    await stage.subject().alarm();
    later(2000);
    await stage.subject().alarm();
    expect(stage.now().prediction.data_removed).toBe(true);
    expect(kept(stage)).toEqual([bodies[0]]);
    later(DAY);
    await stage.subject().alarm();
    expect(bodies).toEqual([bodies[0], bodies[0], bodies[0]]);
    expect(kept(stage)).toEqual(['']);
  }));

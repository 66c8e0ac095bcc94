// npm start: the whole service on this machine, until Ctrl-C.
// PORT (default 8787), STATE_DIR (default .deblur/state: sources and results), LOG=1 (the parts' own lines),
// ALLOW_ORIGINS (origins of this machine that webhooks and sources may have, joined by commas),
// CORS_ORIGINS (pages of other origins that may call it), PUBLIC_URL (its origin behind a proxy),
// MODEL_DIR and RUNNER_MODELS (docs/deploy.md: a model that is not shipped).
import { build } from './lib/build.ts';
import { startService } from './lib/service.ts';
import { whenParentIsGone } from './lib/watch.ts';

const say = (line: string): boolean => process.stderr.write(`${line}\n`);

function portFromEnvironment(): number {
  const port = Number(process.env.PORT ?? 8787);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  say(`PORT must be a port number, not "${process.env.PORT}"`);
  process.exit(1);
}

const port = portFromEnvironment();
const stopping = new AbortController();
const stopped = new Promise<undefined>((resolve) => {
  stopping.signal.addEventListener('abort', () => resolve(undefined), { once: true });
});
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => stopping.abort());
whenParentIsGone(() => stopping.abort());

try {
  build(say);
  say('starting the Workers and the runner …');
  const service = await startService({
    port,
    signal: stopping.signal,
    log: (line) => void (process.env.LOG && say(line)),
    ...(process.env.STATE_DIR ? { stateDir: process.env.STATE_DIR } : {}),
  });
  console.log(`Deblur is ready: ${service.url}`);
  const death = await Promise.race([service.exited, stopped]);
  await service.stop();
  if (death !== undefined) throw new Error(death);
  process.exit(0);
} catch (error) {
  if (!stopping.signal.aborted) say(`npm start: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(stopping.signal.aborted ? 0 : 1);
}

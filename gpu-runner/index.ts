/** Starts the runner, says where it listens, and stops it when it is asked to. */
import { setTimeout as sleep } from 'node:timers/promises';
import { serve } from '@hono/node-server';
import { createApp } from './app.ts';
import { readConfig, type Config } from './config.ts';
import { HttpClient } from './transfers/http-client.ts';
import { LAST_ANSWERS_MS, REQUEST_TIMEOUT_MS } from './limits.ts';
import { consoleLog as log } from './ops/log.ts';
import { Peers } from './peers/peers.ts';
import { RunnerService } from './predictions/runner-service.ts';

function main(config: Config): void {
  const runner = new RunnerService(config, new HttpClient(config), log);
  const { peers: names, host, port, token } = config;
  const peers = names.length === 0 ? undefined : new Peers({ names, host, port, token, log });
  const app = createApp({ runner, token, peers, log });
  const server = serve(
    {
      fetch: app.fetch,
      hostname: config.host,
      port: config.port,
      serverOptions: { requestTimeout: REQUEST_TIMEOUT_MS },
    },
    ({ address, family, port }) => {
      const host = family === 'IPv6' ? `[${address}]` : address;
      log.info('listening', { url: `http://${host}:${port}` });
    },
  );
  server.on('error', (error) => {
    log.error('server_failed', error);
    process.exit(1);
  });

  let stopping = false;
  const stop = (reason: string): void => {
    // Asked twice: whoever asks does not want to wait.
    if (stopping) return runner.failAll();
    stopping = true;
    log.info('stopping', { reason });
    // Until the last prediction has ended it is still asked for, cancelled, and probed; new ones are refused.
    void runner
      .stop(config.drainSeconds)
      // Answers first, then the connections that they went through; one that is kept alive must not hold the exit.
      .then(() => Promise.race([new Promise((resolve) => server.close(resolve)), sleep(LAST_ANSWERS_MS)]))
      .then(() => process.exit(0));
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  // Started with an IPC channel, it does not outlive its parent, however that ended.
  if (process.channel !== undefined) process.on('disconnect', () => stop('parent gone'));
  void runner.setup();
}

try {
  main(readConfig(process.env));
} catch (error) {
  log.error('config_invalid', error instanceof Error ? error.message : error);
  process.exit(1);
}

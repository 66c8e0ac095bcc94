/** The container's HEALTHCHECK: exit code 0 while predictions are served or all slots are taken, 1 otherwise. */
import { env, exit, stdout } from 'node:process';

const SERVING: readonly string[] = ['READY', 'BUSY'];

const response = await fetch(`http://127.0.0.1:${env['PORT'] ?? 5000}/health-check`, {
  signal: AbortSignal.timeout(4_000),
});
const { status } = (await response.json()) as { readonly status: string };
stdout.write(status);
exit(SERVING.includes(status) ? 0 : 1);

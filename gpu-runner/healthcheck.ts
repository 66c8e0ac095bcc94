/** The container's HEALTHCHECK: exit code 0 while predictions are served or all slots are taken, 1 otherwise. */
const SERVING: readonly string[] = ['READY', 'BUSY'];

const response = await fetch(`http://127.0.0.1:${process.env['PORT'] ?? 5000}/health-check`, {
  signal: AbortSignal.timeout(4_000),
});
const { status } = (await response.json()) as { readonly status: string };
process.stdout.write(status);
process.exit(SERVING.includes(status) ? 0 : 1);

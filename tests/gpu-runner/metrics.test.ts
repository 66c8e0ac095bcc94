/** What /metrics tells of a runner that did not start, and of the time that transfers take. */
import { afterEach, expect, it } from 'vitest';
import { gradientPng } from './support/images.ts';
import { startReceiver } from './support/receiver.ts';
import { startServer, type RunningServer } from './support/runner.ts';

let server: RunningServer | undefined;

afterEach(async () => {
  await server?.stop();
  server = undefined;
});

async function scrape(): Promise<readonly string[]> {
  return (await (await fetch(`${server!.url}/metrics`)).text()).split('\n');
}

it('names no execution provider where none runs', async () => {
  server = await startServer({ MODEL_DIR: '/nowhere' });
  const series = 'deblur_runner_execution_provider_info';
  const lines = await scrape();
  expect(lines).toContain(`# TYPE ${series} gauge`);
  expect(lines.filter((line) => line.startsWith(series))).toEqual([]);
});

it('measures download and upload of a prediction by address, once each', async () => {
  const receiver = await startReceiver();
  const delayMs = 200;
  const picture = await gradientPng(64, 48);
  receiver.sources.set('/slow.png', (response) => {
    setTimeout(() => response.writeHead(200).end(picture), delayMs);
  });
  server = await startServer({ ALLOW_ORIGINS: receiver.origin });
  const input = { image: `${receiver.origin}/slow.png`, result_upload_url: `${receiver.origin}/result` };
  const { body } = await server.call('POST', '/predictions', { input });
  expect(body.status).toBe('succeeded');
  expect(receiver.uploads).toHaveLength(1);
  const lines = await scrape();
  const valueOf = (series: string): number =>
    Number(lines.find((line) => line.startsWith(`${series} `))?.slice(series.length + 1));
  for (const span of ['download', 'upload']) {
    expect(valueOf(`deblur_runner_span_seconds_count{span="${span}"}`), span).toBe(1);
  }
  expect(valueOf('deblur_runner_span_seconds_sum{span="download"}')).toBeGreaterThan(delayMs / 1000 - 0.01);
  expect(valueOf('deblur_runner_span_seconds_sum{span="upload"}')).toBeGreaterThan(0);
  await receiver.close();
});

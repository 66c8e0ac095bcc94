import { expect, it } from 'vitest';
import { complaints, observePages, page, server, solid } from './support/observed-page.ts';
import { choose, download, finished, type TestFile } from './support/page.ts';
import { json, problem, type Answer } from './support/server.ts';

const PATH = '/v1/predictions/p4r3d1ct10n';
const RESULT = `/v1/results/${'a'.repeat(64)}`;

const photo: TestFile = { name: 'large.png', mimeType: 'image/png', buffer: await solid(64, 48, '#804020') };
const restored = await solid(64, 48, '#208040');

observePages(() => {
  server.service.deblur = () => ({ ...prediction('starting'), status: 202, headers: { Location: PATH } });
});

function prediction(status: string, more: Record<string, unknown> = {}): Answer {
  return json({ id: 'p4r3d1ct10n', status, progress: { done: 0, total: 0 }, error: null, output: null, ...more });
}

function succeeded(): Answer {
  const headers = { 'Content-Type': 'image/png', 'X-Model': 'dhnet@0123456789ab', 'X-Placement': 'runner' };
  server.service.routes.set(`GET ${RESULT}`, [{ status: 200, headers, body: restored }]);
  return prediction('succeeded', { output: server.origin + RESULT, metrics: { cache: 'coalesced' } });
}

const polls = (): number => server.service.paths.filter((path) => path === PATH).length;

it('is followed tile by tile to its result', async () => {
  const underWay = prediction('processing', { progress: { done: 2, total: 8 } });
  server.service.routes.set(`GET ${PATH}`, [prediction('starting'), underWay, underWay, succeeded()]);
  await choose(page, photo);
  await page.getByText('Tile 3 of 8').waitFor();
  expect(await page.getByTestId('progress').evaluate((bar: HTMLProgressElement) => bar.position)).toBe(0.25);
  await finished(page);
  expect((await download(page)).bytes.equals(restored)).toBe(true);
  expect(await page.getByTestId('fact-placement').textContent()).toContain('GPU');
  expect(await page.getByTestId('fact-cache').textContent()).toContain('Shared');
  expect(await page.getByTestId('result-link').getAttribute('href')).toBe(RESULT);
  expect(server.service.uploads.length).toBe(1);
});

it('that fails is told in the words of its code', async () => {
  const error = 'image_truncated: The file ends before its picture does.';
  server.service.routes.set(`GET ${PATH}`, [prediction('failed', { error })]);
  await choose(page, photo);
  await page.getByTestId('error').waitFor();
  expect(await page.getByTestId('error-title').textContent()).toMatch(/truncated|cut/i);
  expect(await page.getByTestId('error-detail').textContent()).toBe('The file ends before its picture does.');
  expect(await page.getByTestId('retry').isVisible()).toBe(false);
});

it('outlives lost polls', async () => {
  const lost = problem(503, 'runner_unavailable', 'Later.');
  server.service.routes.set(`GET ${PATH}`, [lost, lost, prediction('processing'), lost, succeeded()]);
  await choose(page, photo);
  await finished(page);
  expect(polls()).toBe(5);
  expect(complaints.splice(0)).toEqual(Array(3).fill(expect.stringContaining('503')));
});

it('that is gone ends the waiting', async () => {
  server.service.routes.set(`GET ${PATH}`, [problem(404, 'not_found', 'There is no such prediction.')]);
  await choose(page, photo);
  await page.getByTestId('error').waitFor();
  expect(await page.getByTestId('error-detail').textContent()).toBe('There is no such prediction.');
  expect(polls()).toBe(1);
  expect(complaints.splice(0)).toEqual([expect.stringContaining('404')]);
});

it('is cancelled when the person does not want to wait', async () => {
  server.service.routes.set(`GET ${PATH}`, [prediction('processing')]);
  server.service.routes.set(`POST ${PATH}/cancel`, [prediction('canceled')]);
  await choose(page, photo);
  await page.getByText('A large picture, or many before it').waitFor();
  const cancelled = page.waitForRequest((request) => request.url().endsWith(`${PATH}/cancel`));
  await page.getByTestId('cancel').click();
  expect((await cancelled).method()).toBe('POST');
  expect(await page.getByTestId('drop-zone').isVisible()).toBe(true);
});

it('is not looked for at another origin', async () => {
  server.service.deblur = () => ({
    ...prediction('starting'),
    status: 202,
    headers: { Location: `https://x.test${PATH}` },
  });
  await choose(page, photo);
  await page.getByTestId('error').waitFor();
  expect(polls()).toBe(0);
});

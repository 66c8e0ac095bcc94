/** What the page makes of a service that fails, and of a person who does not want to wait. */
import { describe, expect, it } from 'vitest';
import { complaints, page, server } from './support/observed-page.ts';
import { choose, finished } from './support/page.ts';
import { observeRestoringPages, photo, restoredAnswer } from './support/photo.ts';
import { problem } from './support/server.ts';

observeRestoringPages();

describe('when the service fails', () => {
  it('the page shows its title and detail, and goes on with another photo', async () => {
    server.service.deblur = () => problem(422, 'image_truncated', 'It ends too early.', 'The picture is truncated');
    await choose(page, photo);
    await page.getByTestId('error').waitFor();
    expect(await page.getByTestId('error-title').textContent()).toBe('The picture is truncated');
    expect(await page.getByTestId('error-detail').textContent()).toBe('It ends too early.');
    expect(await page.getByTestId('error-reference').textContent()).toBe('image_truncated · req-1');
    expect(await page.getByTestId('retry').isVisible()).toBe(false);
    // The browser itself reports the status on the console; nothing else may be there.
    expect(complaints.splice(0)).toEqual([expect.stringContaining('422')]);
    server.service.deblur = () => restoredAnswer();
    await choose(page, photo);
    await finished(page);
    expect(await page.getByTestId('error').isVisible()).toBe(false);
  });

  it('the page tries again on request', async () => {
    server.service.deblur = () => problem(502, 'runner_failed', 'It stopped.');
    await choose(page, photo);
    await page.getByTestId('retry').waitFor();
    server.service.deblur = () => restoredAnswer();
    await page.getByTestId('retry').click();
    await finished(page);
    expect(complaints.splice(0)).toEqual([expect.stringContaining('502')]);
  });

  it.each([
    [503, 'runner_unavailable'],
    [503, 'runner_busy'],
  ])('with %i %s and Retry-After, the page says so, waits and repeats the upload', async (status, code) => {
    const later = problem(status, code, 'Later.', 'Not ready');
    const answers = [{ ...later, headers: { ...later.headers, 'Retry-After': '1' } }, restoredAnswer('hit')];
    server.service.deblur = () => answers.shift()!;
    await choose(page, photo);
    await page.getByText('Not ready; asking again in 1 s (try 2)').waitFor();
    await finished(page);
    const bodies = server.service.uploads.map(({ body }) => Buffer.from(body).equals(photo.buffer));
    expect(bodies).toEqual([true, true]);
    expect(complaints.splice(0)).toEqual([expect.stringContaining(String(status))]);
  });

  it('to answer at all, the page says that it cannot be reached', async () => {
    // The list of models is there: what fails from now on is the upload.
    await page.getByTestId('model').locator('option[value="dhnet"]').waitFor({ state: 'attached' });
    await page.context().setOffline(true);
    await choose(page, photo);
    await page.getByTestId('error').waitFor();
    expect(await page.getByTestId('error-title').textContent()).toBe('The service could not be reached');
    expect(complaints.splice(0)).toEqual([expect.stringContaining('ERR_INTERNET_DISCONNECTED')]);
  });
});

it('cancels: the request ends, and its answer changes nothing', async () => {
  let release = (): void => undefined;
  server.service.deblur = async () => {
    await new Promise<void>((resolve) => (release = resolve));
    return restoredAnswer();
  };
  await choose(page, photo);
  const ended = page.waitForEvent('requestfailed');
  await page.getByTestId('cancel').click();
  expect((await ended).url()).toContain('/v1/deblur');
  release();
  expect(await page.getByTestId('drop-zone').isVisible()).toBe(true);
  expect(await page.getByTestId('result').isVisible()).toBe(false);
});

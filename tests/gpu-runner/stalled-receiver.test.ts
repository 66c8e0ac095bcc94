/** A receiver that takes every byte of an upload and never answers: the wait for it, shortened. */
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { UPLOAD_TIMED_OUT_ATTEMPTS } from '../../gpu-runner/limits.ts';
import { HttpClient } from '../../gpu-runner/transfers/http-client.ts';
import { upload } from '../../gpu-runner/transfers/upload.ts';
import { startPartsReceiver, type PartsReceiver } from './support/parts-receiver.ts';

vi.mock('../../gpu-runner/limits.ts', async (original) => ({ ...(await original()), UPLOAD_ANSWER_TIMEOUT_MS: 200 }));

let receiver: PartsReceiver;
let http: HttpClient;
beforeAll(async () => {
  receiver = await startPartsReceiver();
  http = new HttpClient({ allowOrigins: [receiver.origin] });
});
afterAll(async () => {
  await http.close();
  await receiver.close();
});

it('is given up after two attempts, so that it holds no slot', async () => {
  receiver.mishaps.set('put', ['hang', 'hang', 'hang']);
  const file = { url: receiver.url, bytes: Uint8Array.of(1), mediaType: 'image/png' };
  await expect(upload(file, http, new AbortController().signal)).rejects.toMatchObject({
    code: 'runner_failed',
    detail: 'The result could not be uploaded: its receiver did not answer in time. Try again.',
  });
  expect(receiver.requests).toHaveLength(UPLOAD_TIMED_OUT_ATTEMPTS);
});

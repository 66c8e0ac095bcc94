import { beforeEach, describe, expect, it } from 'vitest';
import { newWebhookSecret, verifyWebhook } from '@deblur/shared/protocol/standard-webhooks.ts';
import { checkWebhookUrl, HttpWebhookSender } from '../../../workers/gateway/webhooks/sender.ts';
import type { ScriptedAnswer } from '../support/receiver-stand-in.ts';
import { receiver, RECEIVER_ORIGIN } from '../support/receiver.ts';

beforeEach(() => receiver.answer());

const { url } = receiver;
const secret = newWebhookSecret();
const secrets = async (): Promise<string[]> => [secret];
const allowOrigins = [RECEIVER_ORIGIN];

describe('the sender', () => {
  const send = (to: string, options: { secrets?: () => Promise<readonly string[]>; origins?: string[] } = {}) =>
    new HttpWebhookSender({
      secrets: options.secrets ?? secrets,
      allowOrigins: options.origins ?? allowOrigins,
      timeoutMs: 1500,
    }).send({ id: 'msg_1', url: to, body: '{}' });

  it.each<[string, ScriptedAnswer, number | null, string | null]>([
    ['201', { status: 201 }, 201, null],
    ['a redirect, which is not followed', { status: 307, headers: { location: `${url}2` } }, 307, null],
    ['an endless answer', { status: 200, body: 2_000_000 }, 200, null],
    ['an answer that stops', { status: 200, hang: 'body' }, 200, null],
    ['no answer', { status: 0, hang: 'head' }, null, 'timeout'],
    ['a broken connection', { status: 0, hang: 'socket' }, null, 'connection_failed'],
  ])('says what came of it: %s', async (_, answer, status, error) => {
    await receiver.answer(answer);
    expect(await send(url)).toMatchObject({ status, error });
    expect((await receiver.received()).map(({ path }) => path)).toEqual(['/hook']);
  });

  it('signs by every secret of a rotation', async () => {
    const older = newWebhookSecret();
    await send(url, { secrets: async () => [secret, older] });
    const [received] = await receiver.received();
    for (const key of [secret, older]) {
      expect((await verifyWebhook(received?.headers ?? {}, received?.body ?? '', key)).id).toBe('msg_1');
    }
  });

  it('sends nothing unsigned', async () => {
    const outcomes = [
      await send(url, { secrets: () => Promise.reject(new Error('down')) }),
      await send(url, { secrets: async () => [] }),
    ];
    expect(outcomes.map(({ error }) => error)).toEqual(['not_signed', 'not_signed']);
    expect(await receiver.received()).toEqual([]);
  });

  const port = new URL(url).port;
  it.each([
    url,
    `http://localhost:${port}/`,
    `https://127.0.0.1:${port}/`,
    `http://0x7f.1:${port}/`,
    `http://2130706433:${port}/`,
    `http://[::1]:${port}/`,
    `http://[::ffff:127.0.0.1]:${port}/`,
    'http://receiver.example.com/',
    'https://10.0.0.1/',
    'https://metadata.google.internal/',
    'https://intranet/',
    'https://user:password@receiver.example.com/',
    'https://localhost./',
    'ftp://receiver.example.com/',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'not a URL',
    '',
    `https://receiver.example.com/${'x'.repeat(3000)}`,
  ])('does not call %s', async (to) => {
    expect(() => checkWebhookUrl(to, { allowOrigins: [] })).toThrow(/forbidden|malformed_request/);
    expect(await send(to, { origins: [] })).toMatchObject({ status: null, error: 'url_refused' });
    expect(await receiver.received()).toEqual([]);
  });
});

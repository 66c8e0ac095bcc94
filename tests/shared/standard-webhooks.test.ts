import {
  newWebhookSecret,
  signWebhook,
  verifyWebhook,
  WebhookVerificationError,
  type WebhookFault,
} from '@deblur/shared/protocol/standard-webhooks.ts';
import { validateWebhook } from 'replicate';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';

/** The vector of the official libraries' tests: the same in their JavaScript, Python, Go and Rust. */
const vector = {
  secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  message: { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', timestamp: 1_614_265_330, body: '{"test": 2432232314}' },
  signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
};
const { secret, message } = vector;
const now = message.timestamp * 1000;

const bodies = ['{"test": 2432232314}', 'é ñ 漢字 🎉', '{"a":"\\u0000"}', ' ', 'x'.repeat(100_000)];

async function fault(verified: Promise<unknown>): Promise<WebhookFault | 'verified'> {
  try {
    await verified;
    return 'verified';
  } catch (error) {
    if (error instanceof WebhookVerificationError) return error.fault;
    throw error;
  }
}

describe('signing', () => {
  it('gives the official vector', async () => {
    expect(await signWebhook(message, [secret])).toEqual({
      'webhook-id': message.id,
      'webhook-timestamp': '1614265330',
      'webhook-signature': vector.signature,
    });
  });

  it.each(bodies)('is taken by the official library and by replicate: %.20s', async (body) => {
    const key = newWebhookSecret();
    const fresh = { id: 'msg_1', timestamp: Math.floor(Date.now() / 1000), body };
    const headers = { ...(await signWebhook(fresh, [newWebhookSecret(), key])) };
    // It parses what it has verified.
    const verify = () => new Webhook(key).verify(body, headers);
    if (body.startsWith('{')) expect(verify()).toEqual(JSON.parse(body));
    else expect(verify).toThrow(SyntaxError);
    expect(await validateWebhook({ headers, body } as never, key)).toBe(true);
    expect(await validateWebhook({ headers, body: `${body}!` } as never, key)).toBe(false);
    expect(() => new Webhook(key).verify(`${body}!`, headers)).toThrow('No matching signature');
  });

  it.each([
    ['an id with a full stop', { ...message, id: 'a.b' }, [secret]],
    ['no id', { ...message, id: '' }, [secret]],
    ['half a second', { ...message, timestamp: 1.5 }, [secret]],
    ['no secret', message, []],
    ['a short secret', message, ['whsec_MfKQ9r8G']],
    ['a long secret', message, [`whsec_${'A'.repeat(88)}`]],
    ['what is no base64', message, ['whsec_!!!!']],
  ])('refuses %s', async (_, wrong, secrets) => {
    await expect(signWebhook(wrong, secrets)).rejects.toThrow(TypeError);
  });

  it('makes secrets of 256 bits, each another', () => {
    const secrets = Array.from({ length: 100 }, () => newWebhookSecret());
    expect(new Set(secrets).size).toBe(100);
    expect(secrets.every((each) => /^whsec_[A-Za-z0-9+/]{43}=$/.test(each))).toBe(true);
  });
});

describe('verifying', () => {
  const signed = () => signWebhook(message, [secret]);
  const verify = async (change: Record<string, string | undefined> = {}, body = message.body, at = now) =>
    fault(verifyWebhook({ ...(await signed()), ...change }, body, secret, { now: at }));

  it('takes what the official library signed, by the vector and at any time', async () => {
    const library = new Webhook(secret);
    for (const body of bodies) {
      const headers = { ...(await signed()), 'webhook-signature': library.sign(message.id, new Date(now), body) };
      const { id, timestamp } = await verifyWebhook(new Headers(headers), new TextEncoder().encode(body), [secret], {
        now,
      });
      expect([id, timestamp.getTime()]).toEqual([message.id, now]);
    }
  });

  it('takes a secret without its prefix, and any of several', async () => {
    const bare = secret.slice('whsec_'.length);
    expect(await fault(verifyWebhook(await signed(), message.body, bare, { now }))).toBe('verified');
    const several = [newWebhookSecret(), secret];
    expect(await fault(verifyWebhook(await signed(), message.body, several, { now }))).toBe('verified');
    const rotating = await signWebhook(message, [newWebhookSecret(), secret]);
    expect(await fault(verifyWebhook(rotating, message.body, secret, { now }))).toBe('verified');
  });

  // 300 s are allowed both ways, 301 are not.
  it.each([
    [300, 'verified'],
    [301, 'too_old'],
    [-300, 'verified'],
    [-301, 'too_new'],
  ])('%i s after the signature: %s', async (seconds, expected) => {
    expect(await verify({}, message.body, now + seconds * 1000)).toBe(expected);
  });

  const other = 'v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=';
  it.each<[string, Record<string, string | undefined>, WebhookFault | 'verified']>([
    ['no id', { 'webhook-id': undefined }, 'missing_header'],
    ['no timestamp', { 'webhook-timestamp': undefined }, 'missing_header'],
    ['no signature', { 'webhook-signature': '' }, 'missing_header'],
    ['a timestamp in words', { 'webhook-timestamp': 'hello' }, 'malformed_timestamp'],
    ['a timestamp with a sign', { 'webhook-timestamp': '+1614265330' }, 'malformed_timestamp'],
    ['a timestamp in hexadecimal', { 'webhook-timestamp': '0x6037b9f2' }, 'malformed_timestamp'],
    ['an endless timestamp', { 'webhook-timestamp': '9'.repeat(400) }, 'malformed_timestamp'],
    ['another timestamp', { 'webhook-timestamp': '1614265331' }, 'no_matching_signature'],
    ['another id', { 'webhook-id': 'msg_2' }, 'no_matching_signature'],
    ['another signature', { 'webhook-signature': other }, 'no_matching_signature'],
    ['a part of the signature', { 'webhook-signature': vector.signature.slice(0, 12) }, 'no_matching_signature'],
    ['an empty signature', { 'webhook-signature': 'v1,' }, 'no_matching_signature'],
    ['no base64', { 'webhook-signature': 'v1,@@@@' }, 'no_matching_signature'],
    ['no version', { 'webhook-signature': vector.signature.slice(3) }, 'no_matching_signature'],
    ['another version', { 'webhook-signature': vector.signature.replace('v1', 'v2') }, 'no_matching_signature'],
    ['its signature among others', { 'webhook-signature': `${other} v2,x ${vector.signature} ${other}` }, 'verified'],
    [
      'its signature behind a flood',
      { 'webhook-signature': `${'v1, '.repeat(1e5)}${vector.signature}` },
      'no_matching_signature',
    ],
  ])('%s', async (_, change, expected) => {
    expect(await verify(change)).toBe(expected);
  });

  it('does not take another body, or the same in other words', async () => {
    expect(await verify({}, '{"test": 2432232315}')).toBe('no_matching_signature');
    expect(await verify({}, '{"test":2432232314}')).toBe('no_matching_signature');
    expect(await verify({}, '')).toBe('no_matching_signature');
  });

  it('throws for a secret that is none, and does not let everything through', async () => {
    await expect(verifyWebhook(await signed(), message.body, '', { now })).rejects.toThrow(TypeError);
    expect(await fault(verifyWebhook(await signed(), message.body, [], { now }))).toBe('no_matching_signature');
  });
});

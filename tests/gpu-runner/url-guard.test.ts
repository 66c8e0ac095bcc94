import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import { checkUrl, isGlobalAddress } from '@deblur/shared/net/url-guard.ts';
import { describe, expect, it } from 'vitest';

const rules = { allowOrigins: ['http://127.0.0.1:8787'] };

function refusal(url: string): string {
  try {
    checkUrl(url, rules);
    return 'taken';
  } catch (error) {
    return error instanceof DeblurError ? error.code : String(error);
  }
}

describe('checkUrl', () => {
  it.each([
    'https://example.com/a.jpg',
    'https://images.example.co.uk:8443/a?b=c',
    'https://xn--bcher-kva.ch/',
    'https://1.2.3.4.example.com/',
    'http://127.0.0.1:8787/internal/sources/x',
  ])('takes %s', (url) => {
    expect(checkUrl(url, rules).url.href).toBe(new URL(url).href);
  });

  it('trusts allowed origins only', () => {
    expect(checkUrl('http://127.0.0.1:8787/x', rules).trusted).toBe(true);
    expect(checkUrl('https://example.com/x', rules).trusted).toBe(false);
  });

  it.each([
    ['http', 'http://example.com/a.jpg'],
    ['ftp', 'ftp://example.com/a.jpg'],
    ['file', 'file:///etc/passwd'],
    ['another port than the allowed one', 'http://127.0.0.1:8788/'],
    ['the allowed origin by another name', 'http://localhost:8787/'],
    ['user name', 'https://user@example.com/'],
    ['password', 'https://:secret@example.com/'],
    ['credentials before an allowed origin', 'http://user:pw@127.0.0.1:8787/'],
    ['IPv4', 'https://93.184.216.34/'],
    ['IPv4 in decimal', 'https://2130706433/'],
    ['IPv4 in octal', 'https://0177.0.0.1/'],
    ['IPv4 in hexadecimal', 'https://0x7f000001/'],
    ['IPv4 in mixed notation', 'https://0x7f.1/'],
    ['IPv4 shortened', 'https://127.1/'],
    ['IPv4 in full-width digits', 'https://１２７.0.0.1/'],
    ['IPv4 with a trailing dot', 'https://127.0.0.1./'],
    ['0.0.0.0', 'https://0.0.0.0/'],
    ['metadata service', 'https://169.254.169.254/latest/meta-data'],
    ['IPv6', 'https://[2606:4700::1111]/'],
    ['IPv6 loopback', 'https://[::1]/'],
    ['IPv4 in IPv6', 'https://[::ffff:127.0.0.1]/'],
    ['localhost', 'https://localhost/'],
    ['localhost with a trailing dot', 'https://localhost./'],
    ['below localhost', 'https://a.localhost/'],
    ['single label', 'https://intranet/'],
    ['.internal', 'https://metadata.google.internal/'],
    ['.local', 'https://printer.local/'],
    ['.home.arpa', 'https://nas.home.arpa/'],
    ['upper case', 'https://PRINTER.LOCAL/'],
    ['localhost with two trailing dots', 'https://localhost../'],
    ['a service of Kubernetes', 'https://metrics.monitoring.svc/'],
    ['a service of Kubernetes, in full', 'https://metrics.monitoring.svc.cluster.local./'],
  ])('refuses %s', (_, url) => {
    expect(refusal(url)).toBe('forbidden');
  });

  it.each(['', 'no url', 'https://', 'https://[::1', 'https://256.256.256.256/'])('calls "%s" malformed', (url) => {
    expect(refusal(url)).toBe('malformed_request');
  });
});

describe('isGlobalAddress', () => {
  it.each([
    '1.1.1.1',
    '93.184.216.34',
    '100.63.255.255',
    '100.128.0.0',
    '172.15.255.255',
    '172.32.0.1',
    '198.17.0.1',
    '198.20.0.1',
    '223.255.255.255',
    '2606:4700:4700::1111',
    '2a00:1450:4001:82a::200e',
    '::ffff:1.1.1.1',
    '::ffff:101:101',
    '64:ff9b::101:101',
    '2a00:1450::5efe:101:101',
  ])('%s is', (address) => {
    expect(isGlobalAddress(address)).toBe(true);
  });

  it.each([
    '0.0.0.0',
    '0.1.2.3',
    '10.0.0.1',
    '100.64.0.1',
    '127.0.0.1',
    '127.255.255.255',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.8',
    '192.0.2.1',
    '192.88.99.1',
    '192.168.1.1',
    '198.18.0.1',
    '198.19.255.255',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::127.0.0.1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '0:0:0:0:0:ffff:10.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b:1::1',
    '100::1',
    '2001::1',
    '2001:db8::1',
    '2002:7f00:1::',
    '3fff::1',
    'fc00::1',
    'fd12:3456::1',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
    '4000::1',
    '',
    'localhost',
    '1.2.3',
    '1.2.3.256',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '2606:4700::g',
    '2a00:1450::5efe:7f00:1',
    '2a00:1450::200:5efe:10.0.0.1',
  ])('"%s" is not', (address) => {
    expect(isGlobalAddress(address)).toBe(false);
  });
});

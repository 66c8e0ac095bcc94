// npm run sign-url -- <picture's URL> [name=value …]: the path of a signed URL, by the first key of SIGNED_URL_KEYS.
// npm run sign-url -- --new-key: a key and a salt for SIGNED_URL_KEYS.
import { randomBytes } from 'node:crypto';
import { parseSigningKeys, signPath } from '@deblur/shared/protocol/signed-url.ts';

const USAGE = `usage: SIGNED_URL_KEYS=key:salt npm run sign-url -- <URL> [model=… format=… quality=… metadata=… exp=…]
       npm run sign-url -- --new-key`;

function fail(message: string): never {
  process.stderr.write(`sign-url: ${message}\n${USAGE}\n`);
  process.exit(1);
}

function firstKey(): Parameters<typeof signPath>[0] {
  try {
    return parseSigningKeys(process.env.SIGNED_URL_KEYS ?? '')[0] ?? fail('SIGNED_URL_KEYS is not set');
  } catch (error) {
    fail(`SIGNED_URL_KEYS ${error instanceof Error ? error.message : String(error)}`);
  }
}

function parseOption(text: string): [name: string, value: string] {
  const [, name, value] = /^([a-z]+)=([^,/]+)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) fail(`"${text}" is not name=value`);
  return [name, value];
}

const [source, ...options] = process.argv.slice(2);
if (source === '--new-key') {
  console.log(`${randomBytes(32).toString('hex')}:${randomBytes(16).toString('hex')}`);
} else {
  if (source === undefined || !URL.canParse(source)) fail('the first argument must be the URL of a picture');
  console.log(await signPath(firstKey(), source, Object.fromEntries(options.map(parseOption))));
}

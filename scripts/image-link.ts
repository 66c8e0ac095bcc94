// npm run image-link -- <picture's URL> [name=value …]: the path of an image link, by the first key of IMAGE_LINK_KEYS.
// npm run image-link -- --new-key: a key and a salt for IMAGE_LINK_KEYS.
import { randomBytes } from 'node:crypto';
import { parseSigningKeys, signPath } from '@deblur/shared/protocol/image-link.ts';

const USAGE = `usage: IMAGE_LINK_KEYS=key:salt npm run image-link -- <URL> [model=… format=… quality=… metadata=… exp=…]
       npm run image-link -- --new-key`;

function fail(message: string): never {
  process.stderr.write(`image-link: ${message}\n${USAGE}\n`);
  process.exit(1);
}

function firstKey(): Parameters<typeof signPath>[0] {
  try {
    return parseSigningKeys(process.env.IMAGE_LINK_KEYS ?? '')[0] ?? fail('IMAGE_LINK_KEYS is not set');
  } catch (error) {
    fail(`IMAGE_LINK_KEYS ${error instanceof Error ? error.message : String(error)}`);
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

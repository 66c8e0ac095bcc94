// The client of Replicate, unchanged, on this service (npm install replicate):
//
//   node replicate.mjs blurred.jpg
//
// DEBLUR_URL says where the service is (default: http://127.0.0.1:8787, where `npm start` has it), DEBLUR_API_KEY opens it
// (on your own machine anything does). With WEBHOOK_URL, an address that reaches this program, the end is told, not asked
// for; to allow it on your own machine: ALLOW_ORIGINS=http://127.0.0.1:9000 npm start, and WEBHOOK_URL with that origin.
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import Replicate, { parseProgressFromLogs, validateWebhook } from 'replicate';

const { DEBLUR_URL = 'http://127.0.0.1:8787', DEBLUR_API_KEY = 'any', WEBHOOK_URL } = process.env;
const replicate = new Replicate({ baseUrl: `${DEBLUR_URL}/v1`, auth: DEBLUR_API_KEY });
const model = 'deblur/dhnet-edge';
const [file = 'blurred.jpg'] = process.argv.slice(2);
const picture = new File([await readFile(file)], path.basename(file));

// 1. One call: uploads the picture, waits, gives the address of the result (over https as an object, over http as text).
const output = await replicate.run(model, { input: { image: picture, format: 'webp', quality: 80 } });
await save(output, 'restored.webp');

// 2. Step by step: upload once, use it as often as you like (for a day), and do something else meanwhile.
const { urls } = await replicate.files.create(picture, { from: 'replicate.mjs' });
const created = await replicate.predictions.create({ model, input: { image: urls.get, format: 'png' } });
const ended = await replicate.wait(created, { interval: 250 }, async (prediction) => {
  const { current = 0, total = '?' } = parseProgressFromLogs(prediction) ?? {};
  console.log(`${prediction.status}: tile ${current} of ${total}`);
  return false;
});
await save(ended.output, 'restored.png');

// 3. Who does not need it any more says so, and nobody works for nothing.
const unwanted = await replicate.predictions.create({ model, input: { image: urls.get, format: 'jpeg', quality: 1 } });
console.log('unwanted:', (await replicate.predictions.cancel(unwanted.id)).status);

// 4. Told instead of asked.
if (WEBHOOK_URL !== undefined) {
  const { key } = await replicate.webhooks.default.secret.get();
  const server = createServer(async (request, response) => {
    const { headers } = request;
    const body = await text(request);
    // The client's check is of the signature only; that the message is no old one, sent again, is ours to see.
    const fresh = Math.abs(Date.now() / 1000 - Number(headers['webhook-timestamp'])) < 300;
    const genuine = fresh && (await validateWebhook({ headers, body }, key).catch(() => false));
    response.writeHead(genuine ? 204 : 401).end();
    if (!genuine) return;
    const { type, id, status, output } = JSON.parse(body);
    console.log(type, id, status);
    server.close();
    if (status === 'succeeded') await save(output, 'restored.jpg');
  });
  server.listen(Number(new URL(WEBHOOK_URL).port || 9000));
  await replicate.predictions.create({ model, input: { image: urls.get, format: 'jpeg' }, webhook: WEBHOOK_URL });
}

async function save(output, name) {
  const response = await fetch(String(output));
  await writeFile(name, response.body);
  console.log(`${name}: ${response.headers.get('content-type')} from ${output}`);
}

import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Validator } from '@seriousme/openapi-schema-validator';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import sharp from 'sharp';
import { root } from '../../scripts/lib/service.ts';
import { restoredBefore } from '../support/api.ts';
import { launchChromium } from '../support/chromium.ts';
import { fixture } from '../support/images.ts';
import { runProgram } from '../support/programs.ts';
import { startAsUser, type Started } from '../support/start.ts';
import { fuzz } from './support/fuzzer.ts';
import { clientFolder, runNodeTool, runPythonTool } from './support/generated-clients.ts';

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly summary: string }>>>>;
}

let service: Started;
let text: string;

beforeAll(async () => {
  service = await startAsUser();
  text = await (await fetch(`${service.url}/openapi.json`)).text();
});

afterAll(async () => {
  expect(await service.interrupt()).toBe(0);
});

describe('/openapi.json', () => {
  it('is valid by the published schema of OpenAPI 3.1', async () => {
    const validator = new Validator();
    expect(await validator.validate(JSON.parse(text) as Record<string, unknown>)).toEqual({ valid: true });
    expect(validator.version).toBe('3.1');
  });

  it('has nothing that the linter would do otherwise', async () => {
    // Health and the document itself take nothing that could be wrong with a request.
    const rules = { 'operation-4xx-response': 'off' } as const;
    const config = await createConfig({ extends: ['recommended-strict'], rules });
    const problems = await lintFromString({ source: text, absoluteRef: 'openapi.json', config });
    expect(problems.map(({ ruleId, message, location }) => [ruleId, message, location[0]?.pointer])).toEqual([]);
  });

  it('is what the service does: no request that the fuzzer finds is answered otherwise, or by a 5xx', async () => {
    const { ok, report } = await fuzz(`${service.url}/openapi.json`);
    expect(ok, report).toBe(true);
    // It has sent something to every operation but the one that it read the document by.
    const operations = Object.values((JSON.parse(text) as Document).paths).flatMap(Object.keys).length - 1;
    expect(report).toMatch(new RegExp(`Operations: +${operations} selected / ${operations} total`));
  });
});

/** What a program of either language does: restore, follow, and meet a failure. Each writes the same three lines. */
const TYPESCRIPT = `
import { readFile, writeFile } from 'node:fs/promises';
import createClient from 'openapi-fetch';
import type { paths } from './api.ts';

const client = createClient<paths>({ baseUrl: process.argv[2]! });
const picture = await readFile('street.jpg');
const image = \`data:image/jpeg;base64,\${picture.toString('base64')}\`;

const restored = await client.POST('/v1/deblur', { body: { image }, parseAs: 'arrayBuffer' });
if (restored.data === undefined) throw new Error(restored.error.detail);
await writeFile('restored.jpg', new Uint8Array(restored.data));
console.log(restored.response.status, restored.response.headers.get('content-type'));

const params = { header: { Prefer: 'wait=60' } };
const created = await client.POST('/v1/predictions', { params, body: { input: { image, format: 'webp' } } });
if (created.data === undefined) throw new Error(created.error.detail);
console.log(created.data.status, created.data.output === null);

const refused = await client.POST('/v1/deblur', { body: { image, quality: 101 } });
console.log(refused.error?.code);
`;

const PYTHON = `
import base64, pathlib, sys
from generated import AuthenticatedClient
from generated.api.pictures import deblur
from generated.api.predictions import create_prediction
from generated.models import DeblurRequest, DeblurRequestFormat, Prediction, PredictionRequest

client = AuthenticatedClient(base_url=sys.argv[1], token="any", timeout=120)
picture = base64.b64encode(pathlib.Path("street.jpg").read_bytes()).decode()
request = DeblurRequest(image=f"data:image/jpeg;base64,{picture}")

restored = deblur.sync_detailed(client=client, body=request)
pathlib.Path("restored.jpg").write_bytes(restored.parsed.payload.read())
print(restored.status_code.value, restored.headers["content-type"])

wanted = DeblurRequest(image=request.image, format_=DeblurRequestFormat.WEBP)
created = create_prediction.sync(client=client, body=PredictionRequest(input_=wanted), prefer="wait=60")
assert isinstance(created, Prediction)
print(created.status.value, str(created.output is None).lower())

refused = deblur.sync(client=client, body=DeblurRequest(image=request.image, quality=101))
print(refused.code)
`;

describe('clients that are generated from it', () => {
  const LINES = ['200 image/jpeg', 'succeeded false', 'invalid_option', ''].join('\n');
  let folder: string;
  let picture: Buffer;

  beforeAll(async () => {
    folder = await clientFolder(text);
    const crop = { left: 100, top: 300, width: 112, height: 96 };
    picture = await sharp(await fixture('reds/blur.png'))
      .extract(crop)
      .jpeg()
      .toBuffer();
    await writeFile(path.join(folder, 'street.jpg'), picture);
  });
  afterAll(() => rm(folder, { recursive: true }));

  const restored = (): Promise<Buffer> => readFile(path.join(folder, 'restored.jpg'));

  it('a strict TypeScript program compiles, and restores', async () => {
    runNodeTool(folder, 'openapi-typescript', 'openapi.json', '-o', 'api.ts');
    await writeFile(path.join(folder, 'program.ts'), TYPESCRIPT);
    const strict = ['--strict', '--noEmit', '--skipLibCheck', '--allowImportingTsExtensions'];
    const node = ['--types', 'node', '--typeRoots', path.join(root, 'node_modules/@types')];
    const modules = ['--target', 'es2022', '--module', 'nodenext'];
    expect(runNodeTool(folder, 'tsc', ...strict, ...node, ...modules, 'program.ts')).toBe('');
    expect(await runProgram(process.execPath, ['program.ts', service.url], { cwd: folder, env: {} })).toBe(LINES);
    expect((await restored()).equals(await restoredBefore(service.url, picture))).toBe(true);
  });

  it('a Python program restores', async () => {
    const config = path.join(root, 'tests/e2e/clients/openapi-python-client.yaml');
    const args = ['--path', 'openapi.json', '--meta', 'none', '--output-path', 'generated', '--config', config];
    expect(runPythonTool(folder, 'openapi-python-client', 'generate', ...args)).not.toContain('WARN');
    await writeFile(path.join(folder, 'program.py'), PYTHON);
    expect(runPythonTool(folder, 'python', 'program.py', service.url)).toBe(LINES);
    expect((await restored()).equals(await restoredBefore(service.url, picture))).toBe(true);
  });
});

describe('/docs', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser.close());

  it('shows every operation, leaves its origin for nothing and violates no policy', async () => {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
    });
    page.on('request', (request) => {
      const { protocol, origin } = new URL(request.url());
      if (protocol.startsWith('http') && origin !== service.url) complaints.push(`left the origin: ${request.url()}`);
    });
    const response = await page.goto(`${service.url}/docs`);
    expect(response?.headers()['content-security-policy']).toMatch(
      /^default-src 'none'; script-src 'self'; style-src 'self';/,
    );
    await page.locator('.opblock').first().waitFor();
    const operations = Object.entries((JSON.parse(text) as Document).paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const shown = await page.locator('.opblock-summary').evaluateAll((summaries) =>
      summaries.map((summary) => {
        const [method, path] = ['.opblock-summary-method', '.opblock-summary-path'].map((part) =>
          summary.querySelector(part)?.textContent?.replaceAll('\u200b', ''),
        );
        return `${method} ${path}`;
      }),
    );
    // The webhook stands below them.
    expect(shown.sort()).toEqual([...operations, 'POST prediction'].sort());
    // One that is opened, and tried, from the page.
    await page.locator('#operations-Models-listModels .opblock-summary-control').click();
    await page.getByRole('button', { name: 'Try it out' }).click();
    await page.getByRole('button', { name: 'Execute' }).click();
    await page.locator('.live-responses-table .response-col_status').getByText('200').waitFor();
    expect(complaints).toEqual([]);
  });
});

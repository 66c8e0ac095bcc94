import { Validator } from '@seriousme/openapi-schema-validator';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { startAsUser, type Started } from '../support/start.ts';
import { fuzz } from './support/fuzzer.ts';

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

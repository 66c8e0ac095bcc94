/** One browser and one server for the tests of a file, and for each of them a new page, which must not complain. */
import type { Browser, Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject } from 'vitest';
import { launchChromium } from '../../support/chromium.ts';
import { openPage, startServer } from './page.ts';
import type { PageServer } from './server.ts';

export let browser: Browser;
export let server: PageServer;
/** Of the present test. */
export let page: Page;
/** What the page said; a test that expects some takes them out. */
export let complaints: string[];

/** @param prepare says before each page is opened what the service answers */
export function observePages(prepare: () => void): void {
  beforeAll(async () => {
    [browser, server] = await Promise.all([launchChromium(), startServer(inject('page'))]);
  });

  afterAll(async () => {
    await browser.close();
    await server.close();
  });

  beforeEach(async () => {
    server.service.reset();
    prepare();
    ({ page, complaints } = await openPage(browser, server));
  });

  afterEach(async () => {
    await page.context().close();
    expect(complaints).toEqual([]);
  });
}

/** A PNG of one colour. */
export function solid(width: number, height: number, background: string): Promise<Buffer> {
  return sharp({ create: { width, height, channels: 3, background } })
    .png()
    .toBuffer();
}

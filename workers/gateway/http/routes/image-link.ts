import { hostNotAllowed, imageLinkNotSigned, invalidOption, notAUrl } from '@deblur/shared/protocol/errors.ts';
import { RETRY_AFTER_SECONDS, IMAGE_LINK_WAIT_SECONDS } from '@deblur/shared/limits.ts';
import { verifyPath } from '@deblur/shared/protocol/image-link.ts';
import type { Handler } from 'hono';
import type { z } from 'zod';
import { isAllowedSource, parseLink, type PictureLink } from '../../restorations/image-link.ts';
import { restoreImageLink, type LinkedResult } from '../../restorations/restore-image-link.ts';
import { addToLog, type AppContext, type AppEnv } from '../context.ts';
import type { Ports } from '../ports.ts';
import { waitPreference } from '../body/prefer.ts';
import { resultPath } from './present.ts';
import { serveResult } from './serve-result.ts';
import type { pendingPictureSchema } from '../api-schemas.ts';

/** `GET|HEAD /i/{signature}/{options}/{source}`: the restored picture of an address that a key's holder has signed. */
export function getImageLink(ports: Ports): Handler<AppEnv> {
  return async (c) => {
    const { pathname, searchParams } = new URL(c.req.url);
    const text = await verifyPath(ports.imageLinks.keys, pathname);
    if (text === null) throw imageLinkNotSigned();
    const pendingStatus = pendingStatusOf(searchParams);
    const link = parseLink(text, Date.now());
    assertAllowed(ports, link.url);

    const wait = waitPreference(c.req.header('prefer'));
    const restored = await restoreImageLink(ports, {
      ...link,
      accept: c.req.header('accept') ?? null,
      trace: c.get('trace'),
      waitSeconds: wait.applied === null ? IMAGE_LINK_WAIT_SECONDS : wait.seconds,
      signal: c.req.raw.signal,
    });
    addToLog(c, { cache: restored.cache, result_key: restored.resultKey });
    if (restored.cache === 'pending') return pending(c, link, restored, pendingStatus);
    ports.stats.count('deblur_results_total', { cache: restored.cache });
    const headers = { 'Content-Location': resultPath(restored.resultKey) };
    return serveResult(c, ports, restored.resultKey, { headers, expiresAt: link.expiresAt });
  };
}

/** The query is not signed: nothing in it changes the picture. Cache busters and campaigns of other programs are ignored. */
function pendingStatusOf(query: URLSearchParams): 202 | 302 {
  const values = query.getAll('pending');
  if (values.length === 0) return 302;
  if (values.length === 1 && values[0] === '202') return 202;
  throw invalidOption('pending', 'must be 202');
}

/** Before anything is looked up or fetched; the fetcher asks again for every redirect. */
function assertAllowed({ imageLinks }: Ports, source: string): void {
  const url = URL.parse(source);
  if (url === null) throw notAUrl(source);
  if (!isAllowedSource(imageLinks.sources, url)) {
    throw hostNotAllowed(url.hostname);
  }
}

/** The blurred picture for now; the next request finds the restored one. */
function pending(c: AppContext, { url }: PictureLink, { resultKey }: LinkedResult, status: 202 | 302): Response {
  c.header('Cache-Control', 'no-store');
  c.header('Retry-After', String(RETRY_AFTER_SECONDS));
  // As on results: a browser applies the policy of a redirect too, and would show a broken picture on the owner's site.
  c.header('Cross-Origin-Resource-Policy', 'cross-origin');
  const body: z.infer<typeof pendingPictureSchema> = { status: 'processing', result: resultPath(resultKey) };
  return status === 302 ? c.redirect(new URL(url).href) : c.json(body, 202);
}

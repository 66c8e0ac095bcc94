/** What can be done with a stored result. */
import { RestoreError, type Item } from '../app/item.ts';
import { deblurPath } from './restore.ts';
import { failureOf } from './problem.ts';
import { canonicalPath } from './restore.ts';
import { authorization } from './visitor.ts';

/** Erases the result, its master and its source at the service. A result that is gone already counts as erased. */
export async function eraseResult(link: string): Promise<void> {
  const response = await fetch(link, { method: 'DELETE', headers: authorization() });
  if (!response.ok && response.status !== 404 && response.status !== 410)
    throw new RestoreError(await failureOf(response));
}

/**
 * The absolute address of the same result without EXIF and XMP, so that a shared link does not tell where a photo was
 * taken. The service encodes it from the stored master.
 */
export async function linkWithoutMetadata({ source, settings }: Item, model: string): Promise<string> {
  const path = deblurPath({ format: settings.format, metadata: 'strip' }, model);
  const headers = { Accept: 'image/*', 'Content-Type': source.type || 'application/octet-stream', ...authorization() };
  const response = await fetch(path, { method: 'POST', headers: { ...headers, Prefer: 'wait=60' }, body: source });
  if (!response.ok) throw new RestoreError(await failureOf(response));
  await response.body?.cancel();
  const link = canonicalPath(response.headers.get('Link'));
  if (link === null) throw new RestoreError(await failureOf(response));
  return new URL(link, location.href).href;
}

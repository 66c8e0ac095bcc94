/** One file of a model, fetched so that what lies under its name is always whole and what the manifest says. */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Dispatcher } from 'undici';
import { DeblurError } from '@deblur/shared/protocol/errors.ts';
import type { HttpClient } from '../transfers/http-client.ts';
import { DOWNLOAD_ATTEMPTS, DOWNLOAD_BACKOFF_MS } from '../limits.ts';
import { discard, getFollowing } from '../transfers/redirects.ts';

export interface FileDownload {
  readonly url: string;
  /** Where it goes; its folder is made. */
  readonly path: string;
  /** Of the whole file, hex. */
  readonly sha256: string;
  readonly bytes: number;
}

/** It would fail again in the same way. */
class FinalError extends Error {}

/** All is there, and is something else. Once that may be an old part of another file; twice it is the source. */
class MismatchError extends Error {}

/**
 * Fetches into a `.part` file beside its place and renames it there once its digest is right. What was fetched before, in
 * this process or in an earlier one, is not fetched again (RFC 9110 § 14, ranges). Several processes may do so at once:
 * each writes the same bytes to the same offsets.
 * @throws {Error} that says what is wrong with the source; {DeblurError} `forbidden`, see checkUrl
 */
export async function downloadFile(download: FileDownload, http: HttpClient): Promise<void> {
  const { path, sha256 } = download;
  // The digest in its name: part of another version is not part of this one.
  const part = `${path}.${sha256.slice(0, 16)}.part`;
  await mkdir(dirname(path), { recursive: true });
  for (let failures = 0, mismatches = 0; ;) {
    const before = await sizeOf(part);
    try {
      if (before < download.bytes) await fetchRest(download, part, before, http);
      await complete(download, part);
      return;
    } catch (error) {
      // As long as more arrives, it is the same download on a bad line.
      failures = (await sizeOf(part)) > before ? 1 : failures + 1;
      if (error instanceof MismatchError && ++mismatches > 1) throw error;
      if (failures >= DOWNLOAD_ATTEMPTS || error instanceof FinalError || isRefusal(error)) throw error;
      await sleep(DOWNLOAD_BACKOFF_MS * 2 ** (failures - 1));
    }
  }
}

/** Hex SHA-256. */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

async function fetchRest({ url, bytes }: FileDownload, part: string, from: number, http: HttpClient): Promise<void> {
  const headers = { 'accept-encoding': 'identity', ...(from > 0 ? { range: `bytes=${from}-` } : {}) };
  const response = await getFollowing(url, http, headers, new AbortController().signal);
  const start = startOf(response, from);
  if (start === undefined) {
    discard(response.body);
    const failure = `its source answered with status ${response.statusCode}`;
    // 416: what is there is longer than what the source has. It begins anew.
    if (response.statusCode === 416) await rm(part, { force: true });
    else if (response.statusCode < 500 && ![408, 429].includes(response.statusCode)) throw new FinalError(failure);
    throw new Error(failure);
  }
  const file = createWriteStream(part, start === 0 ? { flags: 'w' } : { flags: 'r+', start });
  await pipeline(response.body, atMost(bytes - start), file);
}

/** @returns the offset of the answer's first byte; undefined when it is not (that part of) the file */
function startOf({ statusCode, headers }: Dispatcher.ResponseData, asked: number): number | undefined {
  if (statusCode === 200) return 0;
  const range = /^bytes (\d+)-/.exec(String(headers['content-range'] ?? ''))?.[1];
  return statusCode === 206 && Number(range) === asked ? asked : undefined;
}

function atMost(bytes: number) {
  return async function* (chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    let left = bytes;
    for await (const chunk of chunks) {
      left -= chunk.length;
      if (left < 0) throw new FinalError('its source is longer than the manifest says');
      yield chunk;
    }
  };
}

async function complete({ path, bytes, sha256 }: FileDownload, part: string): Promise<void> {
  const size = await sizeOf(part);
  if (size < bytes) throw new Error(`its source ended after ${size} of ${bytes} bytes`);
  if ((await sha256OfFile(part)) !== sha256) {
    await rm(part, { force: true });
    throw new MismatchError("its source's sha256 is not the manifest's");
  }
  const file = await open(part, 'r+');
  await file.sync().finally(() => file.close());
  await rename(part, path);
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

/** The guard's word, not the network's. */
function isRefusal(error: unknown): boolean {
  return error instanceof DeblurError;
}

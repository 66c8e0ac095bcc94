/** The runner's own numbers; what every placement agrees on is in @deblur/shared/limits.ts. */

/** A fetched source. A 100 MB file is a 50 MP TIFF with 16 bits a sample, the largest that we decode. */
export const SOURCE_MAX_BYTES = 100_000_000;

/** Connecting to a source or a receiver: a public host answers a SYN at once or is down. */
export const CONNECT_TIMEOUT_MS = 10_000;

/** A whole download or one upload attempt: 100 MB at 1 MB/s, and some. */
export const TRANSFER_TIMEOUT_MS = 120_000;

/** Enough for a signed URL that redirects to storage in another region; a longer chain is a loop or a probe. */
export const MAX_REDIRECTS = 3;

/** One attempt and its retries: 0.25 s, 0.5 s, 1 s apart, so a receiver that restarts is met again. */
export const UPLOAD_ATTEMPTS = 4;
export const UPLOAD_BACKOFF_MS = 250;

/** One libvips decode or encode. 50 MP of AVIF take about 10 s on one core; ten times that is a hostile file. */
export const CODEC_TIMEOUT_SECONDS = 120;

/** Finished predictions that a retried PUT or a late GET still finds. Their outputs may be data URIs, hence the bytes. */
export const REMEMBERED_PREDICTIONS = 256;
export const REMEMBERED_OUTPUT_MAX_CHARS = 64_000_000;
export const REMEMBERED_FOR_MS = 600_000;

/** Tiles in flight per session worker: one in the network, one waiting at its door while a result travels. */
export const TILES_IN_FLIGHT_PER_WORKER = 2;

/** More session workers than this only add memory (weights and arena each); further cores go to threads inside a run. */
export const DEFAULT_MAX_SESSION_WORKERS = 4;

/** A thread that died is started again after this, and given up after so many deaths in its life. */
export const THREAD_RESTART_DELAY_MS = 500;
export const THREAD_MAX_RESTARTS = 5;

/** Receiving one request, body included. */
export const REQUEST_TIMEOUT_MS = 60_000;

/** After the last prediction ended, how long its answer may take to leave before the process does. */
export const LAST_ANSWERS_MS = 1_000;

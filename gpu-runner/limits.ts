/** The runner's own numbers; what every placement agrees on is in @deblur/shared/limits.ts. */

/** A fetched source. A 100 MB file is a 50 MP TIFF with 16 bits a sample, the largest that we decode. */
export const SOURCE_MAX_BYTES = 100_000_000;

/** Another runner of the same cluster says whether it knows a prediction: it looks into a map. */
export const PEER_TIMEOUT_MS = 2_000;

/** Connecting to a source or a receiver: a public host answers a SYN at once or is down. */
export const CONNECT_TIMEOUT_MS = 10_000;

/** A whole download: 100 MB at 1 MB/s, and some. */
export const TRANSFER_TIMEOUT_MS = 120_000;

/** Enough for a signed URL that redirects to storage in another region; a longer chain is a loop or a probe. */
export const MAX_REDIRECTS = 3;

/**
 * Attempts of an upload, 0.25 s, 0.5 s, 1 s, … apart. A receiver that cannot be reached is tried for a quarter of a minute, so
 * that a gateway that restarts is met again and the inference is not done twice.
 */
export const UPLOAD_ATTEMPTS = 4;
export const UPLOAD_UNREACHED_ATTEMPTS = 7;
export const UPLOAD_BACKOFF_MS = 250;

/**
 * A receiver that took every byte of an upload stores and answers within a second; after these times a slot is no longer held
 * for it. Bytes travel at 1 MB/s at least.
 */
export const UPLOAD_ANSWER_TIMEOUT_MS = 15_000;
export const UPLOAD_TIMED_OUT_ATTEMPTS = 2;
export const UPLOAD_MIN_BYTES_PER_MS = 1_000;

/** Parts of one file under way at once: one is on the line while the other's answer is awaited. */
export const UPLOAD_PARTS_AT_ONCE = 2;

/** Telling a receiver that the rest will not come; what it has, it drops by itself some day. */
export const UPLOAD_ABORT_TIMEOUT_MS = 5_000;

/** A digest that the main thread makes itself takes at most so many bytes: one millisecond at 1 GB/s. */
export const INLINE_HASH_MAX_BYTES = 1_000_000;

/** Of a file that becomes base64 on the main thread, what it does in one go: a millisecond. A multiple of three. */
export const BASE64_PIECE_BYTES = 786_432;

/** A JSON body above this brings a file, and waits for room as files do. */
export const SMALL_BODY_MAX_BYTES = 65_536;

/** One webhook attempt. A receiver answers and works afterwards, or it keeps the next event of its prediction waiting. */
export const WEBHOOK_TIMEOUT_MS = 10_000;

/** The terminal event: 0.25 s, 0.5 s, … 30 s apart, three minutes in all. A receiver that is deployed anew is met again. */
export const WEBHOOK_ATTEMPTS = 12;
export const WEBHOOK_BACKOFF_MS = 250;
export const WEBHOOK_MAX_BACKOFF_MS = 30_000;

/** Cog's interval between two webhooks with logs. */
export const WEBHOOK_LOGS_INTERVAL_MS = 500;

/** After the last prediction ended, how long webhooks that are not taken yet may hold the exit. */
export const WEBHOOK_FLUSH_MS = 8_000;

/**
 * One decode or encode by libvips. AVIF takes about 0.2 s for a megapixel on one core; a step that takes ten times as long,
 * after the start of its process on a busy machine, is a hostile file.
 */
export const CODEC_TIMEOUT_BASE_MS = 10_000;
export const CODEC_TIMEOUT_MS_PER_MEGAPIXEL = 2_000;

/**
 * After its picture was cancelled, how long a picture thread may take to stop. Tiles that run in a session end first, and a
 * loop over 64 MP takes a second; a thread that is stuck is replaced.
 */
export const PICTURE_STOP_MS = 15_000;

/**
 * Above this a picture's encoders run one after the other and JPEG's Huffman tables are the standard ones: fitting them to
 * the picture costs a few per cent fewer bytes, and 11 bytes of memory for each pixel.
 */
export const LARGE_PIXELS = 16_000_000;

/**
 * A prediction has this long, and so many times what its picture should take by the speed that was measured at the start: the
 * machine may be busier then. 50 MP take two minutes on a GPU, transfers included.
 */
export const RUNNER_TIMEOUT_MIN_SECONDS = 600;
export const TIMEOUT_PER_EXPECTED = 3;

/** Finished predictions that a retried PUT or a late GET still finds. Their outputs may be files, hence the bytes. */
export const REMEMBERED_PREDICTIONS = 256;
export const REMEMBERED_OUTPUT_MAX_BYTES = 64_000_000;
export const REMEMBERED_FOR_MS = 600_000;

/** Batches in flight per session worker: one in the network, one waiting at its door while a result travels. */
export const BATCHES_IN_FLIGHT_PER_WORKER = 2;

/** How long a tile waits for others to share its run, by default: little beside the run itself. */
export const DEFAULT_BATCH_DELAY_MS = 2;

/**
 * Tiles in one run by default. A CPU does one tile after the other anyway (bench runner-batch); a GPU that gets one
 * 192×192 tile at a time is mostly idle.
 */
export const DEFAULT_BATCH_SIZE = { cpu: 1, cuda: 8, tensorrt: 8 } as const;

/**
 * How long pictures whose sessions are open may pass one that waits for theirs to be closed: a few pictures' worth of work,
 * and little of the time that the one that waits has.
 */
export const SESSIONS_PASSING_MS = 10_000;

/** More session workers than this only add memory (weights and arena each); further cores go to threads inside a run. */
export const DEFAULT_MAX_SESSION_WORKERS = 4;

/** A thread that died is started again after this, and given up after so many deaths in its life. */
export const THREAD_RESTART_DELAY_MS = 500;
export const THREAD_MAX_RESTARTS = 5;

/**
 * Of each thread's JavaScript heap, as the main thread's by NODE_OPTIONS. V8 lets this part grow to 48 MB in each thread before
 * it looks for garbage, which is what memory grew by over hundreds of requests; pixels lie outside, and what else a thread
 * makes is small.
 */
export const THREAD_YOUNG_GENERATION_MB = 3;

/** A cancelled picture stops between two steps; one step of a codec may take seconds at 50 MP. */
export const THREAD_CLOSE_WAIT_MS = 5_000;

/**
 * Said with 409. A slot is free again after a picture's rest, which nobody knows of the one that comes next; who asks is the
 * gateway, which spaces its tries by itself (1, 2, 4 … s) and comes no sooner than this: more would leave slots idle.
 */
export const BUSY_RETRY_AFTER_SECONDS = 1;

/** Receiving one request, body included. */
export const REQUEST_TIMEOUT_MS = 60_000;

/** After the last prediction ended, how long its answer may take to leave before the process does. */
export const LAST_ANSWERS_MS = 1_000;

/** Asking the driver about the GPU takes tens of milliseconds; longer is a driver that hangs. */
export const GPU_QUERY_TIMEOUT_MS = 2_000;

/** A tile takes milliseconds on a GPU; 50 MP take minutes on a CPU. */
export const SPAN_BUCKETS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
export const BATCH_SIZE_BUCKETS = [1, 2, 4, 8, 16, 32];

/** A model's file: calls in a row that bring nothing new, 0.5 s, 1 s, … apart. Progress starts the count again. */
export const DOWNLOAD_ATTEMPTS = 6;
export const DOWNLOAD_BACKOFF_MS = 500;

/** A manifest is a page of JSON. */
export const MANIFEST_MAX_BYTES = 1_000_000;

/**
 * Every number that bounds time, bytes or pixels: the unit is in the name, the reason beside it. In one file, so that limits
 * which depend on each other are seen together.
 */

const KiB = 1024;
const MiB = 1024 * KiB;

// ---- Bytes -------------------------------------------------------------------------------------

/** A body answered within the request. 25 MB holds a 24 MP JPEG of a phone or camera with room to spare. */
export const SYNC_UPLOAD_MAX_BYTES = 25_000_000;

/** A source whose prediction is waited for elsewhere: 50 MP of 16-bit PNG. Cloudflare's plan may cut a body earlier. */
export const ASYNC_UPLOAD_MAX_BYTES = 100_000_000;

/** Uploads up to here are hashed in memory; larger ones stream to storage. Four in flight stay far below an isolate's 128 MB. */
export const IN_MEMORY_UPLOAD_MAX_BYTES = 4 * MiB;

/**
 * A header behind those first bytes is read in ranges of so many bytes, and at most so many of them: 4 MiB, which is the
 * index of half a million strips, or a hundred JPEG segments.
 */
export const HEADER_RANGE_BYTES = 256 * KiB;
export const HEADER_RANGES_MAX = 16;

/** A JSON body carrying a data URI: base64 is 4/3 of the bytes, and the text and the bytes are in memory at once. */
export const JSON_BODY_MAX_BYTES = 8_000_000;

/** Of a JSON body without the data: URI of its picture: names, addresses and options. */
export const JSON_WITHOUT_PICTURE_MAX_BYTES = 64 * KiB;

/** Of a JSON body in all. A create has two dozen; validation costs with every key. */
export const JSON_KEYS_MAX = 64;

/** Of a JSON body: a create has its input, and a list in it. */
export const JSON_NESTING_MAX = 8;

/** A file handed to the edge runner: 1 MP of RGBA is 4 MiB even as an incompressible PNG; the rest is room for metadata. */
export const EDGE_SOURCE_MAX_BYTES = 8 * MiB;

/** Everything in a multipart body that is not the picture: part headers and option fields. */
export const MULTIPART_FIELDS_MAX_BYTES = 64 * KiB;

/** One file that a runner hands back: 64 MP of 16-bit RGB, uncompressed, is 384 MB. */
export const RESULT_UPLOAD_MAX_BYTES = 400_000_000;

/**
 * A file above this comes in parts of so many bytes: Cloudflare refuses bodies above 100 MB on its smaller plans. In R2 an
 * upload has 10,000 parts at most, all but the last of one size, which is at least the second.
 */
export const RESULT_UPLOAD_PART_BYTES = 90_000_000;
export const UPLOAD_PART_MIN_BYTES = 5 * MiB;

/** The JSON that ends an upload in parts: R2's ETags have a few hundred characters, and there are 62 parts at most. */
export const UPLOAD_COMPLETION_MAX_BYTES = 64 * KiB;

/** One metadata block (EXIF, ICC or XMP). Larger ones are dropped: they are not descriptions but payloads. */
export const METADATA_BLOCK_MAX_BYTES = 4 * MiB;

/** Read on of a body that is refused, so that the connection ends in an answer and not in a reset. As much again is enough. */
export const REFUSED_BODY_DRAIN_MAX_BYTES = SYNC_UPLOAD_MAX_BYTES;

// ---- Pixels ------------------------------------------------------------------------------------

/**
 * The largest picture restored at the edge. In an isolate of 128 MB: the network with one 192×192 tile 11 MiB, the
 * codecs' one memory 23–32 MiB, JavaScript (decoded, restored, master, result) up to 47 MiB for noise, less for photos.
 * 2^20 rather than a million: 1024×1024 is the picture people try.
 */
export const EDGE_MAX_PIXELS = 1024 * 1024;

/**
 * The network's linear memory at the edge: 11 MiB for tiles of 192×192, 15 for 256×256. Running into it is an error of one restoration;
 * without it, the isolate dies.
 */
export const EDGE_SESSION_MEMORY_MAX_BYTES = 24 * MiB;

/** The linear memory that all WebAssembly codecs share, one after the other. */
export const EDGE_CODEC_MEMORY_MAX_BYTES = 32 * MiB;

/** The largest picture anywhere. Phones make 50.3 MP (8192×6144); 64 MP of RGB are 192 MB decoded, and twice that with the result. */
export const MAX_PIXELS = 64_000_000;

/** No side above what libjpeg takes; it also bounds one row of tiles. */
export const MAX_SIDE_PIXELS = 65_500;

// ---- Time --------------------------------------------------------------------------------------

/** `Prefer: wait` without a number, and without the header. */
export const DEFAULT_WAIT_SECONDS = 30;
export const MIN_WAIT_SECONDS = 1;
export const MAX_WAIT_SECONDS = 60;

/** From the first to the last byte of an upload: 25 MB at 2 Mbit/s, with some left over. Slower is an attack or a broken line. */
export const UPLOAD_TIMEOUT_MS = 120_000;

/** The same in time: the answer to bad input is not held back for a slow sender. */
export const REFUSED_BODY_DRAIN_MS = 500;

/** One restoration on the edge runner: 1 MP is about 25 tiles of 0.2 s; three times that for a busy machine. */
export const EDGE_RESTORE_TIMEOUT_MS = 60_000;

/** One restoration on the GPU runner. 50 MP on its CPU fall-back is about 1,000 tiles of 0.1 s on each core. */
export const RUNNER_RESTORE_TIMEOUT_MS = 600_000;

/** How long the gateway believes what the runner said of its speed: it measures when it starts, and a start takes as long. */
export const RUNNER_SPEEDS_TTL_MS = 60_000;

/** A health probe must answer while tiles run; slower is down. */
export const HEALTH_TIMEOUT_MS = 2_000;

/** A signed internal URL outlives its restoration, with a margin for the queue before it. */
export const INTERNAL_URL_TTL_SECONDS = 3_600;

/** Said with 202, 503 and 504: one edge restoration later. */
export const RETRY_AFTER_SECONDS = 5;

/** One call to the GPU runner that hands work over, asks after it or cancels it; the work itself goes on by itself. */
export const RUNNER_CALL_TIMEOUT_MS = 15_000;

/** How soon a job whose object died in the middle is taken up again. */
export const JOB_WATCHDOG_MS = 30_000;

/**
 * How often a job is begun before it counts as failed: one picture may be aboard of three runners that die, but what
 * brings a fourth one down did so to the others as well.
 */
export const JOB_MAX_ATTEMPTS = 4;

/** How long work is wanted by a caller that waits without a deadline of its own: one restoration at its limit, and the queue before it. */
export const JOB_DEADLINE_MS = 900_000;

/** A runner that calls back and then is silent for so long is asked whether it still has the work. Tiles take seconds at most. */
export const JOB_LEASE_MS = 15_000;

/** Between two looks at work of a runner that does not call back: a sixteenth of its age, so that waiting adds 3 %, within these. */
export const JOB_POLL_MIN_MS = 100;
export const JOB_POLL_MAX_MS = 5_000;

/** Before the second and each further attempt after a failure of the runner; the first follows at once. */
export const JOB_RETRY_DELAY_MS = 1_000;

/** A message for work that the runner had no room for comes again after 1, 2, 4, … seconds, up to here: often enough to keep its slots full. */
export const DISPATCH_RETRY_MAX_SECONDS = 15;

/** The same with what the runner asks for by Retry-After: longer is not believed. */
export const DISPATCH_RETRY_AFTER_MAX_SECONDS = 300;

/** A message that was refused so often is written anew. Below `max_retries` of wrangler.toml, which is for messages that break their consumer. */
export const DISPATCH_MESSAGE_MAX_ATTEMPTS = 10;

/**
 * Work waits for its message so long, and what the runner asked for; then it is tried without, and gets another: a queue that
 * loses messages, as the local one does when its process ends, costs a minute. Four times the longest pause of a message.
 * The one that was given up, if it was only late, is dropped when it comes.
 */
export const DISPATCH_WATCHDOG_MS = 60_000;

/** A runner's report of one prediction, its input and logs included. */
export const CALLBACK_BODY_MAX_BYTES = 256 * KiB;

/** One event handed to a subscriber's object. */
export const NOTIFY_TIMEOUT_MS = 10_000;

/** An event that was not taken comes again after 1, 2, 4, … seconds, up to here. */
export const NOTIFY_RETRY_MAX_MS = 600_000;

/** A source's URL, redirects and body together: 100 MB at 15 Mbit/s. */
export const SOURCE_FETCH_TIMEOUT_MS = 60_000;

/** How often a source is asked for before its prediction fails, with pauses of seconds: a host's deployment, not its end. */
export const SOURCE_FETCH_MAX_ATTEMPTS = 3;

/** From creation to the end of a prediction, and the longest that may be asked for: a kept source is there for twelve hours. */
export const PREDICTION_DEADLINE_SECONDS = 12 * 3600;

/** The shortest deadline, as at Replicate: below it the way there is most of it. */
export const MIN_CANCEL_AFTER_SECONDS = 5;

/** How soon a prediction whose object died in the middle is taken up again. */
export const PREDICTION_WATCHDOG_MS = 30_000;

/** Joining or leaving a job; a call within one data centre or to the next. */
export const JOB_CALL_TIMEOUT_MS = 10_000;

/** How often leaving a job is tried: about two minutes. A job that nobody left ends by itself. */
export const JOB_LEAVE_MAX_ATTEMPTS = 8;

/** The first pause before a prediction's step is tried again; it doubles up to the second. */
export const PREDICTION_RETRY_MS = 1_000;
export const PREDICTION_RETRY_MAX_MS = 60_000;

/** How long one call waits at a prediction's object; whoever waits longer asks again. Also the heartbeat of event streams. */
export const PREDICTION_POLL_MS = 15_000;

/** An event stream is closed after this long; clients reconnect where they were. */
export const EVENT_STREAM_MAX_MS = 15 * 60_000;

/** A create under way holds its idempotency key this long at most; it takes milliseconds. */
export const IDEMPOTENCY_LEASE_MS = 30_000;

/** How long an `<img>` is held for a picture that is being computed, before it gets the blurred one. */
export const IMAGE_LINK_WAIT_SECONDS = 10;

/** Before the second of two tries at a source whose host failed: a restart, not an outage. */
export const SOURCE_FETCH_RETRY_MS = 500;

/** One call to Cloudflare's API; it answers within a second or not at all. */
export const PURGE_TIMEOUT_MS = 10_000;

/** Counts are gathered so long before they are sent: at most one call a second from each isolate. */
export const STATS_FLUSH_MS = 1_000;

/** One call to the object that counts. */
export const STATS_TIMEOUT_MS = 5_000;

/** A job that is not reported again within this time counts as gone, so that a lost report heals by itself. */
export const STATS_JOB_LEASE_MS = 300_000;

/** A reporter that was silent for so long is forgotten; its isolate has ended. */
export const STATS_REPORTER_TTL_MS = 24 * 3600 * 1000;

/** Time series of all counters together: a few dozen are there; what is above is a mistake of ours, and is not kept. */
export const STATS_MAX_SERIES = 2_000;

// ---- Retention ---------------------------------------------------------------------------------

export const RESULT_RETENTION_SECONDS = 30 * 24 * 3600;
export const SOURCE_RETENTION_SECONDS = 24 * 3600;

/** `input`, `output` and `logs` of a prediction: as long as its result. */
export const PREDICTION_DATA_RETENTION_SECONDS = RESULT_RETENTION_SECONDS;

/** What is left of a prediction after that: when it ran, how long, and how it ended. */
export const PREDICTION_RETENTION_SECONDS = 90 * 24 * 3600;

/** A retry comes within a day, or it is another request. */
export const IDEMPOTENCY_RETENTION_SECONDS = 24 * 3600;
/** For so long a source's address is taken to lead to the bytes that it led to; then its host is asked whether they changed. */
export const SOURCE_LINK_FRESH_SECONDS = 3_600;

/** So long the failure of an image link's source is answered without asking its host again. */
export const LINK_FAILURE_SECONDS = 60;

/** Between two looks of a request that waits for another one's fetch of the same address. */
export const LINK_JOIN_POLL_MS = 50;

/** RFC 9111 has no "for ever"; a year is its customary spelling. */
export const IMMUTABLE_MAX_AGE_SECONDS = 365 * 24 * 3600;

// ---- Requests ----------------------------------------------------------------------------------

/** A source's address. Presigned URLs with session tokens have up to 2,000 characters. */
export const SOURCE_URL_MAX_CHARACTERS = 4096;

/** Of a source; each is checked like the first. A CDN before a login page before a storage host takes four. */
export const SOURCE_MAX_REDIRECTS = 5;

/** What the host of a source asks for by Retry-After is passed on up to here: a client that waits longer has given up. */
export const SOURCE_RETRY_AFTER_MAX_SECONDS = 3_600;

/** One page of `GET /v1/predictions`; each of its predictions is read from an object of its own. */
export const PREDICTION_PAGE_SIZE = 50;

/** As Stripe and the IETF draft have it. */
export const IDEMPOTENCY_KEY_MAX_CHARACTERS = 255;

/** The same as base64url, with signature and options. What is longer is not hashed. */
export const SIGNED_PATH_MAX_CHARACTERS = 6144;

// ---- Concurrency -------------------------------------------------------------------------------

/** Restorations waiting behind the one that runs in an edge isolate; `run()` blocks the isolate, so a longer queue only adds waiting. */
export const EDGE_QUEUE_MAX = 8;

// ---- Options -----------------------------------------------------------------------------------

export const DEFAULT_QUALITY = 90;
export const MIN_TILE_PIXELS = 128;
export const MAX_TILE_PIXELS = 1024;

/** A tile side that a caller asks for is a multiple of this, and so of every model's pad multiple. */
export const TILE_STEP_PIXELS = 32;

// ---- Webhooks ----------------------------------------------------------------------------------

/**
 * Seconds before each attempt, from the end of the one before: Standard Webhooks' own schedule. Eight attempts over 27.6
 * hours outlast a night and the morning in which somebody notices.
 */
export const WEBHOOK_ATTEMPT_DELAYS_SECONDS: readonly number[] = [0, 5, 300, 1800, 7200, 18_000, 36_000, 36_000];

/** Up to this share later, at random: what failed together is not tried again together. */
export const WEBHOOK_JITTER = 0.1;

/** A receiver may ask for more patience than the schedule has, but not for ever: the schedule's own longest delay. */
export const WEBHOOK_RETRY_AFTER_MAX_SECONDS = 36_000;

/** One attempt, from the dial to the answer's head: the lower bound that Standard Webhooks recommends. */
export const WEBHOOK_TIMEOUT_MS = 15_000;

/** Read of a receiver's answer, and thrown away: enough for the connection to be kept. */
export const WEBHOOK_RESPONSE_MAX_BYTES = 16 * KiB;

/** Longer addresses are no addresses: RFC 9110 § 4.1 asks for 8,000 octets at least, browsers stop at 2,048. */
export const WEBHOOK_URL_MAX_CHARACTERS = 2_048;

/** After a rotation the old secret still signs, beside the new one: time to deploy the new one to every receiver. */
export const WEBHOOK_SECRET_OVERLAP_SECONDS = 24 * 3600;

// ---- Access ------------------------------------------------------------------------------------

/**
 * How long an isolate believes what it was told of an API key: so long a revoked key still opens, at most. Longer saves
 * little: a busy key is looked up twice a minute in each isolate.
 */
export const KEY_CACHE_SECONDS = 30;

/** Keys remembered by one isolate, the unknown ones included; about 200 bytes each. */
export const KEY_CACHE_MAX_ENTRIES = 2_000;

/** `last_used_at` is written at most so often: it tells a dead key from a living one, and costs nothing per request. */
export const KEY_LAST_USED_STEP_SECONDS = 3_600;

/** Of one tenant: one for each program and person, with room for rotation. */
export const KEYS_MAX_PER_TENANT = 100;

export const KEY_NAME_MAX_CHARACTERS = 100;

/** An Authorization header of ours has 130 characters; more is not hashed. */
export const AUTHORIZATION_MAX_CHARACTERS = 512;

/** The JSON of a small request: a key's name and scopes. */
export const SMALL_JSON_MAX_BYTES = 4 * KiB;

/**
 * Megapixels that a tenant may have restored in RATE_LIMIT_WINDOW_SECONDS with all its keys, all at once if it likes: ten a
 * second, about what one GPU does, so that nobody fills more than an hour of one GPU's queue.
 */
export const RATE_LIMIT_KEY_MEGAPIXELS = 36_000;

/** The same without a key, for each client address: the largest picture once, or one of 1 MP each minute. */
export const RATE_LIMIT_ANONYMOUS_MEGAPIXELS = 60;

/**
 * The same for the networks around an IPv6 client: a customer has a /56 of 256 such addresses or a /48 of 65,536 (RFC 6177).
 * The buckets are 4 and 16 clients large: many clients of one company still get through, a subscriber's whole network does not.
 */
export const RATE_LIMIT_NETWORK_MEGAPIXELS = { 56: 240, 48: 960 } as const;

/** The same for all anonymous work together, where the operator names no other number: a tenth of what one GPU does. */
export const RATE_LIMIT_ALL_ANONYMOUS_MEGAPIXELS = 3_600;

/** In which an empty bucket is full again. */
export const RATE_LIMIT_WINDOW_SECONDS = 3_600;

/** No restoration costs less than a tile of 256×256. */
export const RATE_LIMIT_MIN_MEGAPIXELS = 0.0655;

/** What a picture costs before it is fetched and its size is known; the rest is charged then. */
export const RATE_LIMIT_UNKNOWN_MEGAPIXELS = 1;

/**
 * Requests of any kind in REQUEST_LIMIT_WINDOW_SECONDS, in one data centre, approximately: polling and hits are cheap, floods
 * are not. Said again in wrangler.toml, where the counters are bound.
 */
export const REQUEST_LIMIT_KEY = 3_000;
export const REQUEST_LIMIT_ANONYMOUS = 300;

/** Cloudflare's counters know windows of 10 and 60 seconds. */
export const REQUEST_LIMIT_WINDOW_SECONDS = 60;

// ---- Files -------------------------------------------------------------------------------------

/** As long as a source is kept anyway: a file is one that has a name. */
export const FILE_RETENTION_SECONDS = SOURCE_RETENTION_SECONDS;

/** Of one tenant at a time: the ten thousand pictures of a pipeline. */
export const FILES_MAX_PER_TENANT = 10_000;

export const FILE_PAGE_SIZE = 100;

/** POSIX's NAME_MAX. */
export const FILE_NAME_MAX_CHARACTERS = 255;

/** Of the JSON that a caller may attach to a file; the form's fields are bounded by the same. */
export const FILE_METADATA_MAX_CHARACTERS = 1_024;

/** After a tenant's last file has expired, and nothing else is known of it, its object is emptied; looked after so often. */
export const TENANT_SWEEP_SECONDS = 24 * 3600;

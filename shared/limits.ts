/**
 * Every number that bounds time, bytes or pixels: the unit is in the name, the reason beside it.
 */

const KiB = 1024;
const MiB = 1024 * KiB;

// ---- Bytes -------------------------------------------------------------------------------------

/** A body answered within the request. 25 MB holds a 24 MP JPEG of a phone or camera with room to spare. */
export const SYNC_UPLOAD_MAX_BYTES = 25_000_000;

/** Uploads up to here are hashed in memory; larger ones stream to storage. Four in flight stay far below an isolate's 128 MB. */
export const IN_MEMORY_UPLOAD_MAX_BYTES = 4 * MiB;

/** A JSON body carrying a data URI: base64 is 4/3 of the bytes, and the text and the bytes are in memory at once. */
export const JSON_BODY_MAX_BYTES = 8_000_000;

/** Everything in a multipart body that is not the picture: part headers and option fields. */
export const MULTIPART_FIELDS_MAX_BYTES = 64 * KiB;

/** How far into a file its dimensions may lie. EXIF and ICC segments come first and are at most 64 KiB each; 1 MiB covers ICC in 16 pieces. */
export const HEADER_SCAN_MAX_BYTES = 1 * MiB;

/** One metadata block (EXIF, ICC or XMP). Larger ones are dropped: they are not descriptions but payloads. */
export const METADATA_BLOCK_MAX_BYTES = 4 * MiB;

// ---- Pixels ------------------------------------------------------------------------------------

/**
 * The largest picture restored at the edge. In an isolate of 128 MB: ONNX Runtime with one 256×256 tile about 50 MB, a
 * codec 16–32 MB, decoded RGBA 4 MB, source and result RGB 3 MB each, PNG master up to 4 MB.
 * 2^20 rather than a million: 1024×1024 is the picture people try.
 */
export const EDGE_MAX_PIXELS = 1024 * 1024;

/** The largest picture anywhere: 50 MP RGB is 150 MB decoded, twice that with its result. */
export const MAX_PIXELS = 50_000_000;

/** No side above what JPEG can express; it also bounds one row of tiles. */
export const MAX_SIDE_PIXELS = 65_535;

// ---- Time --------------------------------------------------------------------------------------

/** `Prefer: wait` without a number, and without the header. */
export const DEFAULT_WAIT_SECONDS = 30;
export const MIN_WAIT_SECONDS = 1;
export const MAX_WAIT_SECONDS = 60;

/** One restoration on the edge runner: 1 MP is about 25 tiles of 0.2 s; three times that for a busy machine. */
export const EDGE_RESTORE_TIMEOUT_MS = 60_000;

/** One restoration on the GPU runner. 50 MP on its CPU fall-back is about 1,000 tiles of 0.1 s on each core. */
export const GPU_RESTORE_TIMEOUT_MS = 600_000;

/** A health probe must answer while tiles run; slower is down. */
export const HEALTH_TIMEOUT_MS = 2_000;

/** A signed internal URL outlives its restoration, with a margin for the queue before it. */
export const INTERNAL_URL_TTL_SECONDS = 3_600;

/** Said with 503 and 504: one edge restoration later. */
export const RETRY_AFTER_SECONDS = 5;

// ---- Retention ---------------------------------------------------------------------------------

export const RESULT_RETENTION_SECONDS = 30 * 24 * 3600;
export const SOURCE_RETENTION_SECONDS = 24 * 3600;

/** RFC 9111 has no "for ever"; a year is its customary spelling. */
export const IMMUTABLE_MAX_AGE_SECONDS = 365 * 24 * 3600;

// ---- Concurrency -------------------------------------------------------------------------------

/** Restorations waiting behind the one that runs in an edge isolate; `run()` blocks the isolate, so a longer queue only adds waiting. */
export const EDGE_QUEUE_MAX = 8;

// ---- Options -----------------------------------------------------------------------------------

export const DEFAULT_QUALITY = 90;
export const MIN_TILE_PIXELS = 128;
export const MAX_TILE_PIXELS = 1024;

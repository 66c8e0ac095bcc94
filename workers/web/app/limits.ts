/** The page's own limits. Those that the service enforces come from shared/limits.ts. */

/** Uploads of one photo while the queue is full, some minutes in all. */
export const PAGE_MAX_UPLOADS = 12;

/** A longer Retry-After is shown as a failure, not waited for. */
export const MAX_RETRY_AFTER_SECONDS = 60;

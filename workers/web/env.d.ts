/** Bytes that the first restoration on the device downloads: vite.config.ts. */
declare const DEVICE_DOWNLOAD_BYTES: number;

/** Days that the service keeps results. */
declare const RETENTION_DAYS: number;

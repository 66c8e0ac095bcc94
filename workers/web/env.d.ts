/** Bytes that the first restoration on the device downloads: vite.config.ts. */
declare const DEVICE_DOWNLOAD_BYTES: number;

/** The device can run the best model: it is among the page's models. */
declare const DEVICE_HAS_BEST: boolean;

/** Days that the service keeps results. */
declare const RETENTION_DAYS: number;

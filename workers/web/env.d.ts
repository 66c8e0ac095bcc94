/** Put in by the build: what a first restoration on the device may have to fetch. */
declare const DEVICE_DOWNLOAD_BYTES: number;

/** Runs beside the page, so that the page stays responsive while the network computes. */
import { DeblurError, ERRORS } from '@deblur/shared/protocol/errors.ts';
import { ownFailure, type Failure } from '../app/item.ts';
import type { DeviceReply, DeviceRequest } from './messages.ts';
import { restoreOnDevice } from './restorer.ts';

function reply(message: DeviceReply): void {
  postMessage(message);
}

addEventListener('message', ({ data }: MessageEvent<DeviceRequest>) => {
  restoreOnDevice(data, (activity) => reply({ kind: 'activity', activity })).then(reply, (error: unknown) =>
    reply({ kind: 'failed', failure: failureOf(error) }),
  );
});

/** What the service would call a failed runner or source is this device here. */
const OWN_CODES: Readonly<Record<string, string>> = {
  runner_failed: 'device_failed',
  source_fetch_failed: 'device_fetch_failed',
};

function failureOf(error: unknown): Failure {
  // An unknown error is nearly always memory: a canvas or an array that could not be allocated.
  if (!(error instanceof DeblurError)) return ownFailure('device_failed', true);
  const { code, detail } = error;
  return ownFailure(OWN_CODES[code] ?? code, ERRORS[code].retryable, detail);
}

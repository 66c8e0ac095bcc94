/** Runs beside the page, so that the page stays responsive while the network computes. */
import { DeblurError, ERRORS } from '@deblur/shared/protocol/errors.ts';
import type { Failure } from '../state.ts';
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

function failureOf(error: unknown): Failure {
  if (error instanceof DeblurError) {
    const { title, retryable } = ERRORS[error.code];
    // Its titles speak of the service; what failed here is this device.
    const own = error.code === 'runner_failed' || error.code === 'source_fetch_failed';
    return {
      title: own ? 'This device could not restore it' : title,
      detail: error.detail,
      code: error.code,
      requestId: null,
      retryable,
    };
  }
  // Nearly always memory: a canvas or an array that could not be had.
  const detail = 'The browser could not finish; most often there is too little memory. The service can do it instead.';
  return { title: 'This device could not restore it', detail, code: null, requestId: null, retryable: true };
}

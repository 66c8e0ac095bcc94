/**
 * Who comes first to a batch that lies at a session thread's door: the thread, which starts it, or the pool, which takes
 * it back because a picture was cancelled. Both see one cell of memory, and its compare-and-set decides: a message
 * would come too late, since a thread that runs the network reads none.
 */
export type TileClaim = Int32Array<SharedArrayBuffer>;

const OPEN = 0;
const STARTED = 1;
const REVOKED = 2;

export function openTileClaim(): TileClaim {
  return new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
}

/** @returns false when it was taken back: then it must not be run */
export function start(claim: TileClaim): boolean {
  return Atomics.compareExchange(claim, 0, OPEN, STARTED) === OPEN;
}

/** @returns false when it was started: then it ends */
export function revoke(claim: TileClaim): boolean {
  return Atomics.compareExchange(claim, 0, OPEN, REVOKED) !== STARTED;
}

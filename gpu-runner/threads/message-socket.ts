/**
 * Messages over a socket to another process. A message travels as a structured clone, followed by the bytes of its typed
 * arrays: those are written from where they lie and read into arrays of their own, so that a picture of 150 MB is not
 * copied a second and a third time on its way.
 */
import type { Duplex } from 'node:stream';
import { Deserializer, Serializer } from 'node:v8';
import type { Endpoint } from './rpc.ts';

declare module 'node:v8' {
  interface Serializer {
    /** Documented; its type is missing from @types/node. */
    _setTreatArrayBufferViewsAsHostObjects(flag: boolean): void;
  }
}

type Samples = Uint8Array | Uint16Array;

/** A frame is the length of the clone (uint32, little endian), the clone, and the bytes of its arrays in their order. */
const LENGTH_BYTES = 4;

export class MessageSocket implements Endpoint {
  readonly #socket: Duplex;

  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  postMessage(message: unknown): void {
    const writer = new MessageWriter();
    writer.writeHeader();
    writer.writeValue(message);
    const clone = writer.releaseBuffer();
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt32LE(clone.length);
    this.#socket.cork();
    for (const bytes of [length, clone, ...writer.arrays]) this.#socket.write(bytes);
    this.#socket.uncork();
  }

  on(_: 'message', listener: (message: unknown) => void): void {
    const reader = new FrameReader(listener);
    this.#socket.on('data', (chunk: Uint8Array) => reader.take(chunk));
  }
}

class MessageWriter extends Serializer {
  /** The bytes of the arrays that the message holds, in the order in which the clone names them. */
  readonly arrays: Uint8Array[] = [];

  constructor() {
    super();
    this._setTreatArrayBufferViewsAsHostObjects(true);
  }

  /** V8 calls it for each typed array. */
  _writeHostObject(array: Samples): void {
    if (!(array instanceof Uint8Array || array instanceof Uint16Array)) throw new TypeError('only samples are sent');
    this.writeUint32(array.BYTES_PER_ELEMENT);
    this.writeUint32(array.byteLength);
    this.arrays.push(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  }
}

class MessageReader extends Deserializer {
  /** Views of the arrays that the message holds; their bytes follow in the frame. */
  readonly arrays: Uint8Array[] = [];

  /** V8 calls it for each typed array. */
  _readHostObject(): Samples {
    const bytesPerElement = this.readUint32();
    const bytes = new ArrayBuffer(this.readUint32());
    this.arrays.push(new Uint8Array(bytes));
    return bytesPerElement === 2 ? new Uint16Array(bytes) : new Uint8Array(bytes);
  }
}

/** Puts the chunks of a stream together to frames, and the frames to messages. */
class FrameReader {
  readonly #emit: (message: unknown) => void;
  #message: unknown;
  /** The buffers that the next bytes fill, in order; the first is filled up to `#filled`. */
  #targets: Uint8Array[] = [];
  #filled = 0;
  /** Called when every target is full. */
  #next: (filled: Uint8Array) => void = () => undefined;

  constructor(emit: (message: unknown) => void) {
    this.#emit = emit;
    this.#beginFrame();
  }

  take(chunk: Uint8Array): void {
    let rest = chunk;
    while (rest.length > 0) {
      const target = this.#targets[0]!;
      const fits = rest.subarray(0, target.length - this.#filled);
      target.set(fits, this.#filled);
      this.#filled += fits.length;
      rest = rest.subarray(fits.length);
      if (this.#filled < target.length) return;
      this.#filled = 0;
      this.#targets.shift();
      if (this.#targets.length === 0) this.#next(target);
    }
  }

  #beginFrame(): void {
    this.#expect([new Uint8Array(LENGTH_BYTES)], (length) => {
      const bytes = new DataView(length.buffer).getUint32(0, true);
      this.#expect([new Uint8Array(bytes)], (clone) => this.#readClone(clone));
    });
  }

  #readClone(clone: Uint8Array): void {
    const reader = new MessageReader(clone);
    reader.readHeader();
    this.#message = reader.readValue();
    const arrays = reader.arrays.filter(({ length }) => length > 0);
    if (arrays.length === 0) this.#finishFrame();
    else this.#expect(arrays, () => this.#finishFrame());
  }

  #finishFrame(): void {
    const message = this.#message;
    this.#message = undefined;
    this.#beginFrame();
    this.#emit(message);
  }

  #expect(targets: Uint8Array[], next: (last: Uint8Array) => void): void {
    this.#targets = targets;
    this.#next = next;
  }
}

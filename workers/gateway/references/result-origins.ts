/** How results were made, and which were erased. */
import type { ResultOrigin, ResultOrigins } from './ports.ts';
import { originKey } from '../bucket-keys.ts';

const ERASED = 'erased';

export class R2ResultOrigins implements ResultOrigins {
  readonly #bucket: R2Bucket;

  constructor(bucket: R2Bucket) {
    this.#bucket = bucket;
  }

  async find(resultKey: string): Promise<ResultOrigin | 'erased' | null> {
    const object = await this.#bucket.get(originKey(resultKey));
    if (object === null) return null;
    // Written below, by this version or the one before.
    if (object.customMetadata?.[ERASED] === undefined) return object.json<ResultOrigin>();
    await object.body.cancel();
    return 'erased';
  }

  /** Also takes back that it was erased: somebody obtains it again. */
  async put(origin: ResultOrigin): Promise<void> {
    await this.#bucket.put(originKey(origin.request.task.resultKey), JSON.stringify(origin));
  }

  async putErased(resultKey: string): Promise<void> {
    await this.#bucket.put(originKey(resultKey), new Uint8Array(0), { customMetadata: { [ERASED]: 'true' } });
  }
}

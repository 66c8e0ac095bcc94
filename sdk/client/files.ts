/** `/v1/files`: pictures that are uploaded once and named by many predictions. */
import { pagesOf } from './pages.ts';
import { sourceOf, type Picture } from './picture.ts';
import type { Transport } from './transport.ts';
import type { StoredFile } from './types.ts';

export interface UploadOptions {
  readonly name?: string;
  /** A JSON object of your own, returned with the file. */
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly signal?: AbortSignal | undefined;
}

interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export class Files {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Uploads a picture; its `id` may be given wherever a picture is wanted, until it expires. A lost answer is not followed
   * by a second upload, which would be a second file.
   * @throws {DeblurError} what the service refuses; {TypeError} for what has no bytes
   */
  async upload(picture: Exclude<Picture, string | URL>, options: UploadOptions = {}): Promise<StoredFile> {
    const source = sourceOf(picture);
    if (source.kind === 'name') throw new TypeError('upload() takes bytes, a Blob or a File');
    const { signal, metadata } = options;
    const name = options.name ?? (typeof File === 'function' && picture instanceof File ? picture.name : 'picture');
    const body = new FormData();
    // The service reads the form as it comes: what describes the picture stands before it.
    if (metadata !== undefined) body.set('metadata', JSON.stringify(metadata));
    body.set('content', new Blob([source.bytes]), name);
    const response = await this.#transport.call('/v1/files', { method: 'POST', body, signal, repeat: 'refused' });
    return (await response.json()) as StoredFile;
  }

  /** @throws {DeblurError} `not_found` */
  async get(id: string, { signal }: CallOptions = {}): Promise<StoredFile> {
    const response = await this.#transport.call(pathOf(id), { signal, repeat: 'always' });
    return (await response.json()) as StoredFile;
  }

  /** @throws {DeblurError} `not_found` */
  async delete(id: string, { signal }: CallOptions = {}): Promise<void> {
    await this.#transport.call(pathOf(id), { method: 'DELETE', signal, repeat: 'refused' });
  }

  /** The caller's files, newest first; pages are fetched as they are needed. */
  list({ signal }: CallOptions = {}): AsyncGenerator<StoredFile, void> {
    return pagesOf<StoredFile>(this.#transport, '/v1/files', signal);
  }
}

const pathOf = (id: string): string => `/v1/files/${encodeURIComponent(id)}`;

/** The ways in: chosen, a folder, dropped anywhere, pasted as a picture or as an address, or an example. */
import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { ACCEPT, droppedPhotos, pastedAddress, photosOf, type Photo } from '../app/files.ts';
import { text } from '../text/index.ts';

export interface IntakeProps {
  readonly onPhotos: (photos: readonly Photo[]) => void;
}

/** The inputs behind the buttons, and what listens on the whole page. Returns how to open the inputs. */
export function useIntake({ onPhotos }: IntakeProps): {
  readonly inputs: VNode;
  choose: () => void;
  chooseFolder: () => void;
  message: string | null;
} {
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const [message, setMessage] = useState<string | null>(null);
  const take = (photos: readonly Photo[]): void => {
    setMessage(photos.length === 0 ? text.drop.nothing : null);
    if (photos.length > 0) onPhotos(photos);
  };
  usePageListeners(take, setMessage);
  const onChange = (event: Event): void => {
    const input = event.currentTarget as HTMLInputElement;
    take(photosOf(input.files));
    // The same file again is a change again.
    input.value = '';
  };
  const shared = { type: 'file', multiple: true, tabIndex: -1, class: 'visually-hidden', onChange } as const;
  const inputs = (
    <>
      <input {...shared} ref={files} accept={ACCEPT} data-testid="file-input" aria-label={text.drop.inputLabel} />
      <input
        {...shared}
        ref={folder}
        {...{ webkitdirectory: true }}
        data-testid="folder-input"
        aria-label={text.drop.folder}
      />
    </>
  );
  return { inputs, choose: () => files.current?.click(), chooseFolder: () => folder.current?.click(), message };
}

function usePageListeners(take: (photos: readonly Photo[]) => void, say: (message: string | null) => void): void {
  const latest = useRef(take);
  latest.current = take;
  useEffect(() => {
    const ending = new AbortController();
    const { signal } = ending;
    const receive = (photos: readonly Photo[]): void => latest.current(photos);
    document.addEventListener(
      'paste',
      (event) => {
        if (event.target instanceof Element && event.target.closest('input, textarea') !== null) return;
        const photos = photosOf(event.clipboardData?.files);
        const address = pastedAddress(event.clipboardData?.getData('text/plain') ?? '');
        if (photos.length === 0 && address === null) return;
        event.preventDefault();
        if (photos.length > 0) return receive(photos);
        say(text.drop.address);
        fetchPhoto(address ?? '').then(
          (photo) => receive([photo]),
          () => say(text.drop.addressFailed),
        );
      },
      { signal },
    );
    attachDrop(receive, signal);
    return () => ending.abort();
  }, [say]);
}

/** From the host itself: the picture does not pass through the service before it is restored. */
async function fetchPhoto(address: string): Promise<Photo> {
  const response = await fetch(address, {
    credentials: 'omit',
    referrerPolicy: 'no-referrer',
    signal: AbortSignal.timeout(30_000),
  });
  const file = await response.blob();
  if (!response.ok || !file.type.startsWith('image/')) throw new Error('not a picture');
  return { name: decodeURIComponent(new URL(address).pathname.split('/').at(-1) ?? '') || 'photo', file };
}

/** The whole page takes drops, so that none misses and opens the file in the browser instead. */
function attachDrop(receive: (photos: readonly Photo[]) => void, signal: AbortSignal): void {
  // Every element that is entered fires, and then every one that is left.
  let depth = 0;
  const setDepth = (next: number): void => {
    depth = Math.max(0, next);
    document.body.toggleAttribute('data-dragging', depth > 0);
  };
  const onDrag = (name: 'dragenter' | 'dragleave' | 'dragover' | 'drop', act: (event: DragEvent) => void): void =>
    document.addEventListener(name, (event) => event.dataTransfer?.types.includes('Files') && act(event), { signal });
  onDrag('dragenter', () => setDepth(depth + 1));
  onDrag('dragleave', () => setDepth(depth - 1));
  onDrag('dragover', (event) => {
    event.preventDefault();
    event.dataTransfer!.dropEffect = 'copy';
  });
  onDrag('drop', (event) => {
    event.preventDefault();
    setDepth(0);
    void droppedPhotos(event.dataTransfer!).then(receive, () => receive([]));
  });
}

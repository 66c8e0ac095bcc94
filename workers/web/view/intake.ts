/** The four ways in: chosen, dropped, pasted, or the example. */
import type { Photo } from '../state.ts';
import { byId } from './dom.ts';

const EXAMPLE_URL = '/example.jpg';

/** @param onPhoto called with each picture that is handed in, at any time */
export function setUpIntake(onPhoto: (photo: Photo) => void): void {
  const input = byId('file', HTMLInputElement);
  const take = (files: FileList | null | undefined): boolean => {
    const file = files?.[0];
    if (file === undefined) return false;
    onPhoto({ name: file.name, file });
    return true;
  };
  const choose = (): void => input.click();
  byId('choose', HTMLButtonElement).addEventListener('click', choose);
  byId('choose-other', HTMLButtonElement).addEventListener('click', choose);
  byId('invitation', HTMLElement).addEventListener('click', ({ target }) => {
    if (target instanceof Element && target.closest('button') === null) choose();
  });
  input.addEventListener('change', () => {
    take(input.files);
    // The same file again is a change again.
    input.value = '';
  });
  byId('example', HTMLButtonElement).addEventListener(
    'click',
    () => void fetchExample().then(onPhoto, () => undefined),
  );
  document.addEventListener('paste', (event) => {
    if (take(event.clipboardData?.files)) event.preventDefault();
  });
  setUpDrop(take);
}

async function fetchExample(): Promise<Photo> {
  const response = await fetch(EXAMPLE_URL);
  return { name: 'street.jpg', file: await response.blob() };
}

/** The whole page takes drops, so that none misses and opens the file in the browser instead. */
function setUpDrop(take: (files: FileList | undefined) => boolean): void {
  // Every element entered fires, and then every one left.
  let depth = 0;
  const setDepth = (next: number): void => {
    depth = Math.max(0, next);
    document.body.toggleAttribute('data-dragging', depth > 0);
  };
  const carriesFile = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') === true;
  document.addEventListener('dragenter', (event) => {
    if (carriesFile(event)) setDepth(depth + 1);
  });
  document.addEventListener('dragleave', (event) => {
    if (carriesFile(event)) setDepth(depth - 1);
  });
  document.addEventListener('dragover', (event) => {
    if (!carriesFile(event)) return;
    event.preventDefault();
    if (event.dataTransfer !== null) event.dataTransfer.dropEffect = 'copy';
  });
  document.addEventListener('drop', (event) => {
    if (!carriesFile(event)) return;
    event.preventDefault();
    setDepth(0);
    take(event.dataTransfer?.files);
  });
}

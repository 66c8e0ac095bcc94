/** Photos out of what a person drops, pastes or chooses. */

export interface Photo {
  readonly name: string;
  readonly file: Blob;
}

/** Endings of pictures that browsers give no media type for. */
const PICTURE_NAME = /\.(jpe?g|png|webp|avif|tiff?|heic|heif|gif|dng|cr2|cr3|nef|arw)$/i;

/** Concrete types: Safari then converts HEIC to JPEG by itself. */
export const ACCEPT = [
  'image/jpeg',
  'image/png',
  'image/webp',
  'image/avif',
  'image/tiff',
  'image/heic',
  'image/heif',
  '.heic',
  '.heif',
  '.tif',
  '.tiff',
].join(',');

const isPicture = ({ name, type }: File): boolean => type.startsWith('image/') || PICTURE_NAME.test(name);

export function photosOf(files: Iterable<File> | null | undefined): Photo[] {
  return [...(files ?? [])].filter(isPicture).map((file) => ({ name: file.name, file }));
}

/** The pictures of a drop, those in folders included. */
export async function droppedPhotos(transfer: DataTransfer): Promise<Photo[]> {
  // The list is empty once the event is over: entries are read before anything is awaited.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  if (entries.length === 0) return photosOf(transfer.files);
  const files = await Promise.all(entries.map(filesOf));
  return photosOf(files.flat());
}

async function filesOf(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile)
    return [await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject))];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const files: File[] = [];
  for (;;) {
    // A call gives at most a hundred entries, and none at the end.
    const entries = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (entries.length === 0) return files;
    for (const inner of entries) files.push(...(await filesOf(inner)));
  }
}

/** A pasted text that is the https address of a picture; null otherwise. */
export function pastedAddress(text: string): string | null {
  const trimmed = text.trim();
  return /^https:\/\/\S+$/.test(trimmed) && URL.canParse(trimmed) ? trimmed : null;
}

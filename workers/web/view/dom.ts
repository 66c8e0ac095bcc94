/** The few operations on the document that all views share. */

/** @throws {Error} when index.html lacks the element or has another kind: a mistake that the first load shows */
export function byId<T extends Element>(id: string, kind: new () => T): T {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`index.html has no ${kind.name} with id ${id}`);
  return element;
}

export function show(element: HTMLElement, visible: boolean): void {
  element.hidden = !visible;
}

/** Shows a text, or nothing at all when it is empty. */
export function setText(element: HTMLElement, text: string | null): void {
  // Writing the same text again would make screen readers say it again.
  if (element.textContent !== text) element.textContent = text;
  show(element, text !== null && text !== '');
}

/** An address for one blob at a time; the one before is given up. */
export class BlobUrl {
  #blob: Blob | null = null;
  #url = '';

  of(blob: Blob): string {
    if (blob === this.#blob) return this.#url;
    this.release();
    this.#blob = blob;
    this.#url = URL.createObjectURL(blob);
    return this.#url;
  }

  release(): void {
    if (this.#blob !== null) URL.revokeObjectURL(this.#url);
    this.#blob = null;
    this.#url = '';
  }
}

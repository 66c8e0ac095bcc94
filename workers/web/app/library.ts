/**
 * The photos of the list in IndexedDB, so that a reload loses nothing. A running item is kept with its prediction's path;
 * one without a path starts again. Every failure means that this browser keeps nothing, which the page says once.
 */
import { openDB, type DBSchema, type IDBPDatabase } from 'idb';
import type { Item } from './item.ts';
import { MAX_ITEMS, type State } from './state.ts';
import type { Store } from './store.ts';

interface Schema extends DBSchema {
  items: { key: string; value: Item };
}

const open = (): Promise<IDBPDatabase<Schema>> =>
  openDB<Schema>('deblur', 1, { upgrade: (database) => void database.createObjectStore('items', { keyPath: 'id' }) });

/** Reads what an earlier visit left, and from then on writes every change. */
export async function attachLibrary(store: Store): Promise<void> {
  try {
    const database = await open();
    const items = (await database.getAll('items')).map(resumable).sort((a, b) => b.addedAt - a.addedAt);
    store.dispatch({ kind: 'restored-library', items: items.slice(0, MAX_ITEMS) });
    let writing: Promise<unknown> = Promise.resolve();
    store.subscribe((state, before) => {
      writing = writing.then(() => write(database, state, before)).catch(() => failed(store));
    });
  } catch {
    failed(store);
  }
}

function failed(store: Store): void {
  if (!store.state.keepsNothing) store.dispatch({ kind: 'storage-failed' });
}

/** Work that this page does not do any more waits again, unless the service goes on with it. */
function resumable(item: Item): Item {
  if (item.work.kind !== 'running' || item.work.prediction !== null) return item;
  return { ...item, work: { kind: 'waiting' } };
}

/** Progress is not written: a reload asks for it. */
async function write(database: IDBPDatabase<Schema>, state: State, before: State): Promise<void> {
  if (state.items === before.items) return;
  const known = new Map(before.items.map((item) => [item.id, item]));
  for (const item of state.items) {
    const old = known.get(item.id);
    known.delete(item.id);
    if (old === undefined || isWorthWriting(item, old)) await database.put('items', item);
  }
  for (const id of known.keys()) await database.delete('items', id);
}

function isWorthWriting(item: Item, old: Item): boolean {
  if (item === old) return false;
  if (item.work.kind !== 'running' || old.work.kind !== 'running') return true;
  return item.work.prediction !== old.work.prediction || item.run !== old.run;
}

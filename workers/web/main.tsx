/** Joins the state to what draws it, keeps it, and restores. */
import { render } from 'preact';
import { attachAddress } from './app/address.ts';
import { learn } from './app/estimate.ts';
import type { Item } from './app/item.ts';
import { attachLibrary } from './app/library.ts';
import { loadSettings, saveSettings } from './app/settings.ts';
import { Store } from './app/store.ts';
import { Workshop, type Run } from './app/work.ts';
import { canRestoreHere, DeviceRestorer } from './device/client.ts';
import { fetchOffer } from './service/models.ts';
import { restoreOnService } from './service/restore.ts';
import { text } from './text/index.ts';
import { App } from './view/app.tsx';

document.documentElement.lang = text.language;

const store = new Store(loadSettings());
/** `?webgpu=force` accepts a software adapter. */
const device = new DeviceRestorer(new URLSearchParams(location.search).get('webgpu') === 'force');

/** `auto` leaves small photos to the edge; a name asks for that model. */
function modelOf({ settings }: Item): string {
  return settings.quality === 'best' ? (store.state.offer?.best ?? 'auto') : 'auto';
}

const restore = async (run: Run) => {
  const { item } = run;
  const outcome = item.settings.onDevice ? await device.restore(run) : await restoreOnService(run, modelOf(item));
  const megapixels = await megapixelsOf(outcome.picture);
  if (megapixels !== null) learn(item, outcome, megapixels);
  return outcome;
};

async function megapixelsOf(picture: Blob): Promise<number | null> {
  try {
    const bitmap = await createImageBitmap(picture);
    const { width, height } = bitmap;
    bitmap.close();
    return (width * height) / 1e6;
  } catch {
    return null;
  }
}

store.subscribe(({ settings }, before) => {
  if (settings === before.settings) return;
  saveSettings(settings);
  if (before.settings.onDevice && !settings.onDevice) device.dispose();
});

addEventListener('beforeunload', (event) => {
  const uploads = store.state.items.some(({ work }) => work.kind === 'running' && work.activity.kind === 'uploading');
  if (uploads) event.preventDefault();
});

async function start(): Promise<void> {
  render(<App store={store} canUseDevice={canRestoreHere()} modelOf={modelOf} />, document.getElementById('app')!);
  fetchOffer().then(
    (offer) => store.dispatch({ kind: 'offer-known', offer }),
    () => undefined,
  );
  await attachLibrary(store);
  attachAddress(store);
  new Workshop(store, restore).update();
}

void start();
if ('serviceWorker' in navigator) void navigator.serviceWorker.register('/sw.js').catch(() => undefined);

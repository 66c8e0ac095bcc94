/**
 * Makes the page work offline. Documents come from the network first, so a stale page never meets a new API; files whose
 * names carry a hash of their content, and models named by their SHA-256, come from the cache first. Answers of the API
 * are never cached here.
 */
declare const self: ServiceWorkerGlobalScope;

const CACHE = 'deblur-page';
const DOCUMENTS = ['/', '/privacy', '/favicon.svg', '/manifest.webmanifest'];
const EXAMPLES = ['street', 'portrait'].flatMap((name) => [
  `/examples/${name}-before.jpg`,
  `/examples/${name}-after.jpg`,
]);

self.addEventListener('install', (event) => {
  event.waitUntil(install().then(() => self.skipWaiting()));
});

self.addEventListener('activate', (event) => {
  event.waitUntil(self.clients.claim());
});

self.addEventListener('fetch', (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== 'GET' || url.origin !== self.location.origin) return;
  if (url.pathname.startsWith('/assets/')) event.respondWith(cacheFirst(event.request));
  else if (event.request.mode === 'navigate' || isOfThePage(url.pathname))
    event.respondWith(networkFirst(event.request));
});

const isOfThePage = (path: string): boolean =>
  DOCUMENTS.includes(path) || EXAMPLES.includes(path) || path.startsWith('/models/');

/** The page, what it loads at once, and the examples. */
async function install(): Promise<void> {
  const cache = await caches.open(CACHE);
  await cache.addAll([...DOCUMENTS, ...EXAMPLES]);
  const page = await (await cache.match('/'))!.text();
  await cache.addAll([...new Set(page.match(/\/assets\/[\w.-]+/g) ?? [])]);
}

async function cacheFirst(request: Request): Promise<Response> {
  const kept = await caches.match(request);
  return kept ?? keep(request, await fetch(request));
}

async function networkFirst(request: Request): Promise<Response> {
  try {
    return await keep(request, await fetch(request));
  } catch (error) {
    const kept = await caches.match(request, { ignoreSearch: true });
    if (kept !== undefined) return kept;
    const page = request.mode === 'navigate' ? await caches.match('/') : undefined;
    if (page !== undefined) return page;
    throw error;
  }
}

const MODEL_FILE = /\.(onnx|bin|safetensors)$/;

/** A full disk is no reason to fail: the answer is here. Models are kept by the page itself. */
async function keep(request: Request, response: Response): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (!response.ok || response.redirected || MODEL_FILE.test(pathname)) return response;
  const copy = response.clone();
  await caches
    .open(CACHE)
    .then((cache) => cache.put(request, copy))
    .catch(() => undefined);
  return response;
}

export {};

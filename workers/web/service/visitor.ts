/**
 * The visitor token: 256 random bits that own this visitor's predictions and results, so that the page can read and
 * delete them and nobody else can. The browser keeps it; without storage it lasts as long as the page.
 */
const STORAGE_KEY = 'deblur-visitor';
const TOKEN = /^visitor_[A-Za-z0-9_-]{43}$/;

let token: string | undefined;

export function visitorToken(): string {
  return (token ??= kept() ?? keep(make()));
}

export function authorization(): { readonly Authorization: string } {
  return { Authorization: `Bearer ${visitorToken()}` };
}

function make(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  const base64 = btoa(String.fromCharCode(...bytes));
  return `visitor_${base64.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')}`;
}

function kept(): string | undefined {
  try {
    const value = localStorage.getItem(STORAGE_KEY);
    return value !== null && TOKEN.test(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function keep(value: string): string {
  try {
    localStorage.setItem(STORAGE_KEY, value);
  } catch {
    return value;
  }
  return value;
}

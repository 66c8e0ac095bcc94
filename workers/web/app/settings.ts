/** What a person can choose, and where the page keeps it between visits. */
import type { MetadataMode, OutputFormat } from '@deblur/shared/protocol/options.ts';

export type Quality = 'quick' | 'best';

export interface Settings {
  readonly quality: Quality;
  readonly format: 'auto' | OutputFormat;
  readonly metadata: MetadataMode;
  readonly onDevice: boolean;
}

export const DEFAULT_SETTINGS: Settings = { quality: 'quick', format: 'auto', metadata: 'keep', onDevice: false };

/** Formats that a browser's canvas can write. Safari writes no WebP; a PNG is made then. */
export const DEVICE_FORMATS = ['jpeg', 'png', 'webp'] as const satisfies readonly OutputFormat[];
export type DeviceFormat = (typeof DEVICE_FORMATS)[number];

const STORAGE_KEY = 'deblur-settings';

/** Settings that fit together: the device writes fewer formats than the service. */
export function consistent(settings: Settings): Settings {
  const { onDevice, format } = settings;
  if (!onDevice || format === 'auto' || DEVICE_FORMATS.some((known) => known === format)) return settings;
  return { ...settings, format: 'auto' };
}

/** Returns the kept settings; the defaults for whatever is missing, unknown or cannot be read. */
export function loadSettings(): Settings {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(STORAGE_KEY) ?? '{}');
    return consistent({ ...DEFAULT_SETTINGS, ...valid(kept) });
  } catch {
    return DEFAULT_SETTINGS;
  }
}

/** Storage may be full or forbidden; the settings then last as long as the page. */
export function saveSettings(settings: Settings): void {
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify(settings));
  } catch {
    return;
  }
}

const VALUES: { readonly [K in keyof Settings]: readonly Settings[K][] } = {
  quality: ['quick', 'best'],
  format: ['auto', 'jpeg', 'png', 'webp', 'avif'],
  metadata: ['keep', 'strip'],
  onDevice: [true, false],
};

function valid(kept: unknown): Partial<Settings> {
  if (typeof kept !== 'object' || kept === null) return {};
  const entries = Object.entries(kept).filter(
    ([key, value]) => key in VALUES && (VALUES[key as keyof Settings] as readonly unknown[]).includes(value),
  );
  return Object.fromEntries(entries) as Partial<Settings>;
}

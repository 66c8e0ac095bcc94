/** The four things that can be chosen. */
import { deviceObstacle } from '../device/client.ts';
import { formatBytes } from '../format.ts';
import { DEVICE_FORMATS, type Models, type Settings, type State } from '../state.ts';
import { byId, setText } from './dom.ts';

const FORMAT_NAMES: Readonly<Record<Settings['format'], string>> = {
  auto: 'Same as photo',
  jpeg: 'JPEG',
  png: 'PNG',
  webp: 'WebP',
  avif: 'AVIF',
};

const DEVICE_MODEL = 'dhnet-edge';

interface Choice {
  readonly value: string;
  readonly text: string;
  readonly disabled: boolean;
}

export class SettingsView {
  readonly #form = byId('settings', HTMLFormElement);
  readonly #model = byId('model', HTMLSelectElement);
  readonly #modelHint = byId('model-hint', HTMLElement);
  readonly #format = byId('format', HTMLSelectElement);
  readonly #metadata = byId('metadata', HTMLInputElement);
  readonly #onDevice = byId('on-device', HTMLInputElement);
  readonly #onDeviceHint = byId('on-device-hint', HTMLElement);
  readonly #obstacle = deviceObstacle();

  constructor(onChange: (change: Partial<Settings>) => void) {
    this.#form.addEventListener('submit', (event) => event.preventDefault());
    this.#model.addEventListener('change', () => onChange({ model: this.#model.value as Settings['model'] }));
    this.#format.addEventListener('change', () => onChange({ format: this.#format.value as Settings['format'] }));
    this.#metadata.addEventListener('change', () => onChange({ metadata: this.#metadata.checked ? 'keep' : 'strip' }));
    this.#onDevice.addEventListener('change', () => onChange({ onDevice: this.#onDevice.checked }));
    const download = `Nothing is uploaded. First use fetches up to ${formatBytes(DEVICE_DOWNLOAD_BYTES)}`;
    setText(this.#onDeviceHint, this.#obstacle ?? download);
  }

  render({ settings, models, phase }: State): void {
    const working = phase.kind === 'working';
    const { onDevice } = settings;
    fill(this.#model, onDevice ? [{ value: 'auto', text: DEVICE_MODEL, disabled: false }] : modelOptions(models));
    this.#model.value = onDevice ? 'auto' : settings.model;
    this.#model.disabled = working || onDevice;
    setText(this.#modelHint, onDevice ? 'The one that fits a browser' : MODEL_HINTS[models.kind]);
    fill(this.#format, formatOptions(onDevice));
    this.#format.value = settings.format;
    this.#format.disabled = working;
    this.#metadata.checked = settings.metadata === 'keep';
    this.#metadata.disabled = working;
    this.#onDevice.checked = onDevice;
    this.#onDevice.disabled = working || this.#obstacle !== null;
  }
}

const MODEL_HINTS: Readonly<Record<Models['kind'], string>> = {
  loading: 'Asking which there are',
  loaded: 'Picks the best trained one',
  unknown: 'The list could not be had; the service decides',
};

function modelOptions(models: Models): Choice[] {
  const auto = { value: 'auto', text: 'Best available', disabled: false };
  if (models.kind !== 'loaded') return [auto];
  const named = models.choices.map(({ name, unavailable }) => ({
    value: name,
    text: unavailable === null ? name : `${name} (${unavailable})`,
    disabled: unavailable !== null,
  }));
  return [auto, ...named];
}

function formatOptions(onDevice: boolean): Choice[] {
  return Object.entries(FORMAT_NAMES).map(([value, text]) => {
    const disabled = onDevice && value !== 'auto' && !DEVICE_FORMATS.some((format) => format === value);
    return { value, text: disabled ? `${text} (only by the service)` : text, disabled };
  });
}

/** Rebuilds a menu only when it differs: doing it while it is open would close it. */
function fill(select: HTMLSelectElement, choices: readonly Choice[]): void {
  const key = JSON.stringify(choices);
  if (select.dataset['choices'] === key) return;
  select.dataset['choices'] = key;
  select.replaceChildren(
    ...choices.map(({ value, text, disabled }) => {
      const option = new Option(text, value);
      option.disabled = disabled;
      return option;
    }),
  );
}

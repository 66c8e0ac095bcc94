/** What can be chosen, before the result that it acts on. */
import type { VNode } from 'preact';
import { DEVICE_FORMATS, type Quality, type Settings } from '../app/settings.ts';
import type { State } from '../app/state.ts';
import { text } from '../text/index.ts';

export interface SettingsProps {
  readonly state: State;
  readonly canUseDevice: boolean;
  readonly onChange: (change: Partial<Settings>) => void;
}

export function SettingsView({ state, canUseDevice, onChange }: SettingsProps): VNode {
  const { settings, offer } = state;
  const { onDevice } = settings;
  // The best model is too large for the page so far.
  const best = !onDevice && Boolean(offer?.best);
  return (
    <form
      class="settings"
      aria-label={text.settings.label}
      data-testid="settings"
      onSubmit={(event) => event.preventDefault()}
    >
      <QualityChoice quality={best ? settings.quality : 'quick'} best={best} onChange={onChange} />
      <div class="field">
        <label for="format">{text.settings.format}</label>
        <select
          id="format"
          data-testid="format"
          value={settings.format}
          onChange={(event) => onChange({ format: event.currentTarget.value as Settings['format'] })}
        >
          {Object.entries(text.settings.formats)
            .filter(([value]) => !onDevice || value === 'auto' || DEVICE_FORMATS.some((format) => format === value))
            .map(([value, name]) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
        </select>
      </div>
      <Switch
        id="metadata"
        label={text.settings.metadata}
        checked={settings.metadata === 'keep'}
        onChange={(keep) => onChange({ metadata: keep ? 'keep' : 'strip' })}
      />
      {canUseDevice ? (
        <Switch
          id="on-device"
          label={text.settings.onDevice}
          hint={text.settings.onDeviceHint(DEVICE_DOWNLOAD_BYTES)}
          checked={onDevice}
          onChange={(checked) => onChange({ onDevice: checked })}
        />
      ) : null}
    </form>
  );
}

interface QualityChoiceProps {
  readonly quality: Quality;
  readonly best: boolean;
  readonly onChange: (change: Partial<Settings>) => void;
}

function QualityChoice({ quality, best, onChange }: QualityChoiceProps): VNode {
  return (
    <fieldset class="field">
      <legend>{text.settings.quality}</legend>
      <div class="segments">
        {(['quick', 'best'] as const).map((value) => (
          <label key={value}>
            <input
              type="radio"
              name="quality"
              value={value}
              data-testid={`quality-${value}`}
              checked={quality === value}
              disabled={value === 'best' && !best}
              onChange={() => onChange({ quality: value })}
            />
            <span>{text.settings[value]}</span>
          </label>
        ))}
      </div>
      {best ? null : <p class="hint">{text.settings.bestUnavailable}</p>}
    </fieldset>
  );
}

interface SwitchProps {
  readonly id: string;
  readonly label: string;
  readonly hint?: string;
  readonly checked: boolean;
  readonly onChange: (checked: boolean) => void;
}

function Switch({ id, label, hint, checked, onChange }: SwitchProps): VNode {
  return (
    <div class="field switch-field">
      <label for={id}>{label}</label>
      <input
        id={id}
        class="switch"
        data-testid={id}
        type="checkbox"
        role="switch"
        checked={checked}
        aria-describedby={hint === undefined ? undefined : `${id}-hint`}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
      {hint === undefined ? null : (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

/** What came out, what happened, and the ways to take it away. */
import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { formatSeconds, resultName } from '../app/format.ts';
import type { Item, Outcome } from '../app/item.ts';
import { eraseResult, linkWithoutMetadata } from '../service/results.ts';
import { text } from '../text/index.ts';
import { saveAs, useBlobUrl } from './dom.ts';

export interface ResultProps {
  readonly item: Item;
  readonly outcome: Outcome;
  readonly model: string;
  readonly strength: number;
  readonly setStrength: (strength: number) => void;
  /** The settings were changed since. */
  readonly isStale: boolean;
  readonly onAgain: () => void;
}

/** A mean change below this many of 255 levels is not seen. */
const UNSEEN_CHANGE = 0.6;

export function Result(props: ResultProps): VNode {
  const { item, outcome, strength, setStrength, isStale, onAgain } = props;
  const [message, setMessage] = useState('');
  useEffect(() => setMessage(''), [item.id, item.run]);
  const { picture } = outcome;
  const percent = Math.round(strength * 100);
  return (
    <section class="result" aria-label={text.result.label} data-testid="result">
      <div class="result-file">
        <p class="file-name" data-testid="result-name">
          {resultName(item.name, picture.type)}
        </p>
        <p class="figures" data-testid="result-facts">
          {facts(item, outcome)}
        </p>
        {notesOf(item, outcome).map((note) => (
          <p class="hint" key={note} data-testid="note">
            {note}
          </p>
        ))}
      </div>
      <label class="strength">
        <span>{text.result.strength}</span>
        <input
          type="range"
          min="0"
          max="100"
          step="5"
          value={percent}
          data-testid="strength"
          aria-valuetext={text.result.strengthValue(percent)}
          onInput={(event) => setStrength(Number(event.currentTarget.value) / 100)}
        />
        <output class="figures">{text.result.strengthValue(percent)}</output>
      </label>
      <Actions {...props} say={setMessage} />
      {isStale ? (
        <button type="button" class="button" data-testid="repeat" onClick={onAgain}>
          {text.result.again}
        </button>
      ) : null}
      <p class="hint" role="status" data-testid="result-message">
        {message}
      </p>
    </section>
  );
}

function Actions({ item, outcome, model, strength, say }: ResultProps & { say: (message: string) => void }): VNode {
  const [linked, setLinked] = useState(outcome.link !== null);
  useEffect(() => setLinked(outcome.link !== null), [outcome]);
  const url = useBlobUrl(outcome.picture);
  const name = resultName(item.name, outcome.picture.type);
  const save = async (): Promise<void> => saveAs(await atStrength(item, outcome, strength), name);
  const copy = (): void => {
    // Called without waiting first: browsers allow the clipboard only within the click.
    const png = atStrength(item, outcome, strength).then(asPng);
    navigator.clipboard.write([new ClipboardItem({ 'image/png': png })]).then(
      () => say(text.result.copied),
      () => say(text.result.copyFailed),
    );
  };
  const share = async (): Promise<void> => {
    const blob = await atStrength(item, outcome, strength);
    await navigator.share({ files: [new File([blob], name, { type: blob.type })] }).catch(() => undefined);
  };
  const link = (): void => {
    const address = linkWithoutMetadata(item, model).then((href) => new Blob([href], { type: 'text/plain' }));
    navigator.clipboard.write([new ClipboardItem({ 'text/plain': address })]).then(
      () => say(`${text.result.copied}. ${text.result.linkNote}`),
      () => say(text.result.copyFailed),
    );
  };
  const erase = async (): Promise<void> => {
    try {
      await eraseResult(outcome.link ?? '');
      setLinked(false);
      say(text.result.erased);
    } catch {
      say(text.result.eraseFailed);
    }
  };
  return (
    <div class="buttons">
      {strength < 1 ? (
        <button type="button" class="button primary" data-testid="download" onClick={() => void save()}>
          {text.result.download}
        </button>
      ) : (
        <a class="button primary" data-testid="download" href={url ?? '#'} download={name}>
          {text.result.download}
        </a>
      )}
      <button type="button" class="button" data-testid="copy" onClick={copy}>
        {text.result.copy}
      </button>
      {canShareFiles() ? (
        <button type="button" class="button" data-testid="share" onClick={() => void share()}>
          {text.result.share}
        </button>
      ) : null}
      {linked ? (
        <>
          <button type="button" class="button" data-testid="link" onClick={link}>
            {text.result.link}
          </button>
          <button type="button" class="button quiet" data-testid="erase" onClick={() => void erase()}>
            {text.result.erase}
          </button>
        </>
      ) : null}
    </div>
  );
}

function facts({ source }: Item, outcome: Outcome): VNode {
  const { picture, model, engine, placement, milliseconds } = outcome;
  const parts = [text.result.size(source.size, picture.size)];
  if (milliseconds > 0) parts.push(text.result.took(formatSeconds(milliseconds)));
  if (placement !== null) parts.push(text.result.placements[placement]);
  return (
    <>
      {parts.join(' · ')} <small data-testid="fact-model">{[model, engine].filter(Boolean).join(' · ')}</small>
    </>
  );
}

function notesOf({ source, settings }: Item, outcome: Outcome): string[] {
  const notes: string[] = outcome.notes.map((note) => text.result.notes[note]);
  const { verdict, change, scale, picture } = outcome;
  if (verdict === 'already_sharp') notes.push(text.result.already);
  else if (verdict === 'beyond_model') notes.push(text.result.beyond);
  else if (change !== null && change.mean < UNSEEN_CHANGE) notes.push(text.result.unchanged);
  if (scale !== null && scale > 1) notes.push(text.result.scale(scale));
  if (picture.type === 'image/jpeg' && settings.format === 'auto' && picture.size < source.size * 0.8) {
    notes.push(text.result.smaller);
  }
  return notes;
}

/** The result, or a mixture of source and result, written by the code that also writes on-device results. */
async function atStrength(item: Item, { picture }: Outcome, strength: number): Promise<Blob> {
  if (strength >= 1) return picture;
  const { blend } = await import('../device/blend.ts');
  return blend(item.source, picture, strength);
}

async function asPng(picture: Blob): Promise<Blob> {
  if (picture.type === 'image/png') return picture;
  const bitmap = await createImageBitmap(picture);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext('2d')?.drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas.convertToBlob({ type: 'image/png' });
}

function canShareFiles(): boolean {
  const probe = new File([''], 'photo.jpg', { type: 'image/jpeg' });
  return navigator.canShare?.({ files: [probe] }) === true;
}

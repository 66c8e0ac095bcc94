/** What went wrong, what to do, and the button that does it. */
import type { VNode } from 'preact';
import type { Failure, Item } from '../app/item.ts';
import { text } from '../text/index.ts';

export interface FailureProps {
  readonly item: Item;
  readonly failure: Failure;
  readonly canUseDevice: boolean;
  readonly onRetry: () => void;
  readonly onPlace: (onDevice: boolean) => void;
  readonly onAnother: () => void;
}

/** Failures that the other place may not have. */
const ABOUT_THE_PICTURE = new Set(['image_truncated', 'image_undecodable', 'image_animated', 'image_too_many_pixels']);

export function FailureView({ item, failure, canUseDevice, onRetry, onPlace, onAnother }: FailureProps): VNode {
  const { code, detail, requestId, retryable } = failure;
  const [title, advice] = text.failure.texts[code] ?? [text.failure.fallback, detail ?? ''];
  const { onDevice } = item.settings;
  const otherPlace = !ABOUT_THE_PICTURE.has(code) && (onDevice || canUseDevice);
  return (
    <section class="failure" data-testid="error" role="alert">
      <p class="file-name">{item.name}</p>
      <h2 data-testid="error-title">{title}</h2>
      <p data-testid="error-advice">{advice}</p>
      {detail === null || detail === advice ? null : (
        <p class="hint" lang="en" data-testid="error-detail">
          {detail}
        </p>
      )}
      <div class="buttons">
        {retryable ? (
          <button type="button" class="button primary" data-testid="retry" onClick={onRetry}>
            {text.failure.retry}
          </button>
        ) : null}
        {otherPlace ? (
          <button type="button" class="button" data-testid="other-place" onClick={() => onPlace(!onDevice)}>
            {onDevice ? text.failure.onService : text.failure.onDevice}
          </button>
        ) : null}
        <button type="button" class="button" data-testid="choose-other" onClick={onAnother}>
          {text.failure.another}
        </button>
      </div>
      <p class="hint figures" data-testid="error-reference">
        {text.failure.reference(code, requestId)}
      </p>
    </section>
  );
}

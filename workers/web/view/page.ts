/** What belongs to no single view: the shape of the page, its title, and what is said aloud. */
import { formatSeconds } from '../format.ts';
import type { State } from '../state.ts';
import { byId, show } from './dom.ts';
import { describe } from './working.ts';

export class PageView {
  readonly #invitation = byId('invitation', HTMLElement);
  readonly #announcer = byId('announcer', HTMLElement);

  render(state: State): void {
    const { phase } = state;
    document.body.dataset['phase'] = phase.kind;
    show(this.#invitation, phase.kind === 'idle');
    document.title = titleOf(state);
    const text = announcementOf(state);
    if (this.#announcer.textContent !== text) this.#announcer.textContent = text;
  }
}

function titleOf({ phase }: State): string {
  switch (phase.kind) {
    case 'idle':
      return 'Deblur';
    case 'working':
      return `Restoring ${phase.photo.name} · Deblur`;
    case 'done':
      return `${phase.photo.name} restored · Deblur`;
    case 'failed':
      return `${phase.failure.title} · Deblur`;
  }
}

/** Once for each step, not for each tile. A failure is read from its heading, which takes the focus. */
function announcementOf({ phase }: State): string {
  switch (phase.kind) {
    case 'idle':
    case 'failed':
      return '';
    case 'working':
      return describe(phase.activity, phase.photo).title;
    case 'done':
      return `Restored in ${formatSeconds(phase.outcome.milliseconds)}.`;
  }
}

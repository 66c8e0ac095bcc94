/** The first thing to see: what this is, where photos go in, and examples that upload nothing. */
import type { VNode } from 'preact';
import { text } from '../text/index.ts';

export interface Example {
  readonly id: string;
  readonly before: string;
  readonly after: string;
}

export const EXAMPLES: readonly Example[] = [
  { id: 'street', before: '/examples/street-before.jpg', after: '/examples/street-after.jpg' },
  { id: 'portrait', before: '/examples/portrait-before.jpg', after: '/examples/portrait-after.jpg' },
];

export interface WelcomeProps {
  readonly choose: () => void;
  readonly chooseFolder: () => void;
  readonly onExample: (example: Example) => void;
}

export function Welcome({ choose, chooseFolder, onExample }: WelcomeProps): VNode {
  return (
    <>
      <div class="invitation" data-testid="drop-zone">
        <p class="invitation-lead">
          <span class="for-pointer">{text.drop.pointer}</span>
          <span class="for-touch">{text.drop.touch}</span>
        </p>
        <div class="buttons">
          <button type="button" class="button primary" data-testid="choose" onClick={choose}>
            {text.drop.choose}
          </button>
          <button type="button" class="button for-pointer" data-testid="choose-folder" onClick={chooseFolder}>
            {text.drop.folder}
          </button>
        </div>
        <p class="hint for-pointer">{text.drop.paste}</p>
      </div>
      <section class="examples" aria-label={text.examples.label}>
        <p class="hint">{text.examples.lead}</p>
        <ul>
          {EXAMPLES.map((example) => (
            <li key={example.id}>
              <button type="button" data-testid={`example-${example.id}`} onClick={() => onExample(example)}>
                <img src={example.before} width="240" height="135" alt="" loading="lazy" />
                <span>{text.examples.names[example.id]}</span>
              </button>
            </li>
          ))}
        </ul>
      </section>
    </>
  );
}

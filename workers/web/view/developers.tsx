/** The request that the page has just made, to be copied into a terminal or a program. */
import type { VNode } from 'preact';
import { resultName } from '../app/format.ts';
import type { Item } from '../app/item.ts';
import { deblurPath } from '../service/restore.ts';
import { text } from '../text/index.ts';

export function Developers({ item, model }: { item: Item; model: string }): VNode {
  const { curl, javascript } = requestsOf(item, model, location.origin);
  return (
    <details class="developers" data-testid="developers">
      <summary>{text.developers.label}</summary>
      <p class="hint">{text.developers.lead}</p>
      <pre tabIndex={0} data-testid="curl">
        {curl}
      </pre>
      <pre tabIndex={0} data-testid="javascript">
        {javascript}
      </pre>
    </details>
  );
}

/** Shell and JavaScript that restore this photo with these settings. */
export function requestsOf(
  { name, settings, work }: Item,
  model: string,
  origin: string,
): { readonly curl: string; readonly javascript: string } {
  const url = `${origin}${deblurPath(settings, model)}`;
  const type = work.kind === 'done' ? work.outcome.picture.type : 'image/jpeg';
  const quote = (value: string): string => `'${value.replaceAll("'", `'\\''`)}'`;
  const curl = `curl -fSL --data-binary ${quote(`@${name}`)} ${quote(url)} -o ${quote(resultName(name, type))}`;
  const javascript = [
    `const response = await fetch(${JSON.stringify(url)}, { method: 'POST', body: file });`,
    'if (!response.ok) throw new Error((await response.json()).detail);',
    'const restored = await response.blob();',
  ].join('\n');
  return { curl, javascript };
}

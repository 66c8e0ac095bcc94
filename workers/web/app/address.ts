/** The selected photo stands in the address, so that reload, Back and Forward find it. */
import type { Store } from './store.ts';

export function attachAddress(store: Store): void {
  const read = (): void => store.dispatch({ kind: 'selected', id: location.hash.slice(1) || null });
  addEventListener('popstate', read);
  store.subscribe((state, before) => {
    if (state.selected === before.selected) return;
    const hash = state.selected === null ? '' : `#${state.selected}`;
    if (location.hash === hash) return;
    history.pushState(null, '', `${location.pathname}${location.search}${hash}`);
  });
  // A photo that was chosen while the page was loading stays on the stage.
  if (store.state.selected === null) read();
}

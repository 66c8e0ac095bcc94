/** Joins the state to what draws it and to what restores. */
import { deblurOnService } from './api.ts';
import { DeviceRestorer } from './device/client.ts';
import { fetchModels } from './models.ts';
import { INITIAL_STATE, reduce, RestoreError, type Event, type Failure, type Outcome, type Phase } from './state.ts';
import { FailureView } from './view/failure.ts';
import { setUpIntake } from './view/intake.ts';
import { PageView } from './view/page.ts';
import { PictureView } from './view/picture.ts';
import { ResultView } from './view/result.ts';
import { SettingsView } from './view/settings.ts';
import { WorkingView } from './view/working.ts';

/** `?webgpu=force` accepts a software adapter. */
const forceWebGpu = new URLSearchParams(location.search).get('webgpu') === 'force';

let state = INITIAL_STATE;
let controller = new AbortController();
const device = new DeviceRestorer();

const views = [
  new PageView(),
  new PictureView(),
  new WorkingView(() => dispatch({ kind: 'reset' })),
  new ResultView({ onRepeat: () => dispatch({ kind: 'repeated' }), onAnother: () => dispatch({ kind: 'reset' }) }),
  new FailureView({
    onRetry: () => dispatch({ kind: 'repeated' }),
    onPlace: (onDevice) => {
      dispatch({ kind: 'settings-changed', change: { onDevice } });
      dispatch({ kind: 'repeated' });
    },
  }),
  new SettingsView((change) => dispatch({ kind: 'settings-changed', change })),
];

function dispatch(event: Event): void {
  const before = state;
  state = reduce(before, event);
  if (state.run !== before.run || (before.phase.kind === 'working' && state.phase.kind === 'idle')) controller.abort();
  if (before.settings.onDevice && !state.settings.onDevice) device.dispose();
  for (const view of views) view.render(state);
  if (state.run !== before.run && state.phase.kind === 'working') void restore(state.run, state.phase);
}

async function restore(run: number, { photo, settings }: Extract<Phase, { kind: 'working' }>): Promise<void> {
  controller = new AbortController();
  const { signal } = controller;
  const call = {
    signal,
    forceWebGpu,
    onActivity: (activity: Extract<Event, { kind: 'progressed' }>['activity']) =>
      dispatch({ kind: 'progressed', run, activity }),
  };
  try {
    const outcome: Outcome = settings.onDevice
      ? await device.restore(photo, settings, call)
      : await deblurOnService(photo, settings, call);
    dispatch({ kind: 'restored', run, outcome });
  } catch (error) {
    if (!signal.aborted) dispatch({ kind: 'failed', run, failure: failureOf(error) });
  }
}

function failureOf(error: unknown): Failure {
  if (error instanceof RestoreError) return error.failure;
  console.error(error);
  const detail = 'This page failed in a way that it does not know. Reloading it may help.';
  return { title: 'Something went wrong here', detail, code: null, requestId: null, retryable: true };
}

setUpIntake((photo) => dispatch({ kind: 'photo-chosen', photo }));
for (const view of views) view.render(state);
fetchModels().then(
  (choices) => dispatch({ kind: 'models-loaded', choices }),
  () => dispatch({ kind: 'models-unknown' }),
);

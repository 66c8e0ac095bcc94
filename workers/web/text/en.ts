/** Every text of the page in English. A language is one file of this shape. */
import { formatBytes } from '../app/format.ts';

export const en = {
  language: 'en',
  title: 'Deblur',
  startAgain: 'Deblur, start again',
  headline: 'Make a blurred photo sharp',
  lead: 'Give it photos that moved or missed the focus. They come back restored, at the same size.',

  drop: {
    pointer: 'Drop photos here',
    touch: 'Pick photos to restore',
    choose: 'Choose photos',
    folder: 'Choose a folder',
    paste: 'or paste a photo or its address',
    cover: 'Drop to restore',
    add: 'Add photos',
    inputLabel: 'Choose photos',
    nothing: 'There was no photo in that.',
    address: 'Fetching the photo …',
    addressFailed: 'The photo at that address could not be fetched. Save it and drop the file instead.',
  },

  privacy: {
    service: (days: number) =>
      `Photos are sent to this service and kept for ${days} days. You can delete them at any time.`,
    device: 'Nothing leaves this device.',
    more: 'Privacy',
  },

  settings: {
    label: 'Settings',
    quality: 'Quality',
    quick: 'Quick',
    best: 'Best',
    bestUnavailable: 'Best quality is not available here.',
    onDevice: 'On this device',
    onDeviceHint: (bytes: number) => `Nothing is uploaded. The first use downloads ${formatBytes(bytes)}.`,
    format: 'Format',
    formats: { auto: 'Same as photo', jpeg: 'JPEG', png: 'PNG', webp: 'WebP', avif: 'AVIF' },
    metadata: 'Keep date, place and camera',
  },

  list: {
    label: 'Photos',
    waiting: 'Waiting',
    done: 'Restored',
    sharp: 'Was sharp already',
    failed: 'Failed',
    stopped: 'Stopped',
    remove: (name: string) => `Remove ${name}`,
    downloadAll: 'Download all',
    count: (done: number, all: number) => `${done} of ${all} restored`,
  },

  work: {
    uploading: (percent: number) => `Uploading, ${percent} %`,
    queued: 'Waiting for its turn',
    pausing: (seconds: number) => `The service is full. Trying again in ${seconds} s`,
    model: (done: number, total: number) => `Downloading the network, ${formatBytes(done)} of ${formatBytes(total)}`,
    reading: 'Reading the photo',
    starting: 'Starting',
    tiles: (percent: number) => `Restoring, ${percent} %`,
    writing: 'Writing the picture',
    about: (seconds: number) => `about ${duration(seconds)}`,
    left: (seconds: number) => `${duration(seconds)} left`,
    cancel: 'Cancel',
  },

  stage: {
    label: 'Picture',
    before: 'Before',
    after: 'After',
    original: 'The photo as it was given',
    restored: 'The restored photo',
    noPreview: 'This browser cannot show the original of this format.',
    slider: 'Where the restored picture begins',
    sliderValue: (percent: number) => `${percent} % restored`,
    view: 'View',
    modes: { slider: 'Slider', side: 'Side by side', single: 'Restored' },
    hold: 'Hold for the original',
    map: 'Show what changed',
    zoom: 'Zoom',
    zoomIn: 'Zoom in',
    zoomOut: 'Zoom out',
    fit: 'Fit',
    percent: (percent: number) => `${percent} %`,
    fullScreen: 'Full screen',
    keys: 'Arrow keys move, + and − zoom, 0 fits, 1 is full size.',
  },

  result: {
    label: 'Result',
    download: 'Download',
    copy: 'Copy picture',
    copied: 'Copied',
    copyFailed: 'This browser did not copy it.',
    share: 'Share',
    link: 'Copy link',
    linkNote: 'The linked file has no date, place or camera.',
    erase: 'Delete from the service',
    erased: 'Deleted from the service. This browser still has it.',
    eraseFailed: 'It could not be deleted. Try again later.',
    again: 'Restore with these settings',
    strength: 'Strength',
    strengthValue: (percent: number) => `${percent} %`,
    size: (before: number, after: number) => `${formatBytes(before)} → ${formatBytes(after)}`,
    smaller: 'The file is smaller because it was compressed again. Choose PNG to lose nothing.',
    took: (seconds: string) => `in ${seconds}`,
    placements: { edge: 'near you', runner: 'on the server', device: 'on this device' },
    already: 'This photo was sharp already, so almost nothing was changed.',
    beyond: 'The blur is stronger than this model can undo. Best quality may do more.',
    unchanged: 'Almost nothing was changed. The photo may be sharp already, or blurred beyond repair.',
    scale: (scale: number) => `Restored at 1/${scale} of its size, because its blur is wide.`,
    notes: {
      'eight-bits': 'Browsers keep 8 bits for each channel. The service keeps 16.',
      'png-instead': 'This browser cannot write that format, so the file is a PNG.',
    },
  },

  failure: {
    retry: 'Try again',
    onDevice: 'Restore it on this device',
    onService: 'Let the service do it',
    another: 'Choose other photos',
    reference: (code: string, id: string | null) => (id === null ? code : `${code} · ${id}`),
    fallback: 'It did not work',
    texts: {
      unreachable: [
        'The service cannot be reached',
        'Check the network and try again, or restore the photo on this device.',
      ],
      not_a_picture: [
        'The answer was not a picture',
        'Something between this page and the service may have replaced it.',
      ],
      too_slow: ['This takes too long', 'The work continues at the service. Try again later: it may be ready then.'],
      page_failed: ['Something went wrong on this page', 'Reload the page and try again.'],
      device_failed: [
        'This device could not finish',
        'Most often there is too little memory. The service can do it instead.',
      ],
      device_fetch_failed: ['The network could not be downloaded', 'Check the connection and try again.'],
      body_too_large: ['The file is too large to upload', 'Restore it on this device: there is no such limit.'],
      unsupported_media_type: [
        'This kind of file cannot be restored',
        'Save the photo as JPEG or PNG and try again. iPhone: Settings › Camera › Formats › Most Compatible.',
      ],
      empty_body: ['The file is empty', 'Copy it again from where it came.'],
      image_truncated: [
        'The file is incomplete',
        'It ends in the middle of the picture. Copy it again from where it came.',
      ],
      image_undecodable: ['The file is damaged', 'No picture could be read from it.'],
      image_too_many_pixels: ['The photo is too large', 'Reduce it and try again.'],
      image_animated: ['Animations are not restored', 'Choose a single picture.'],
      rate_limited: ['That was a lot in a short time', 'Wait a little, or restore the photo on this device.'],
      quota_exceeded: ['The limit is reached', 'Try again later, or restore the photo on this device.'],
      runner_busy: ['The service is busy', 'Try again in a moment, or restore the photo on this device.'],
      runner_unavailable: ['The service is not ready', 'Try again in a moment, or restore the photo on this device.'],
      service_unavailable: ['The service is not ready', 'Try again in a moment, or restore the photo on this device.'],
      deadline_exceeded: ['The service took too long', 'Try again, or restore the photo on this device.'],
      canceled: ['It was stopped', 'Start it again whenever you like.'],
    } as Readonly<Record<string, readonly [title: string, advice: string] | undefined>>,
  },

  examples: {
    label: 'Examples',
    lead: 'Look at an example first; nothing is uploaded.',
    names: { street: 'A street', portrait: 'A portrait' } as Readonly<Record<string, string>>,
    credit: 'Examples: REDS dataset (Nah et al., 2019), CC BY 4.0.',
  },

  developers: {
    label: 'For developers',
    lead: 'The same by program:',
    links: { docs: 'API', source: 'Source', status: 'Status' },
  },

  storage:
    'This browser keeps nothing for this page (a private window, or no space left). Download your results before you close it.',
  leave: 'A photo is still being uploaded.',
};

export type Text = typeof en;

function duration(seconds: number): string {
  if (seconds < 90) return `${seconds} s`;
  return `${Math.round(seconds / 60)} min`;
}

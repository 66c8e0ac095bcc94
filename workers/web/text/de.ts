/** Every text of the page in German. */
import { formatBytes } from '../app/format.ts';
import type { Text } from './en.ts';

export const de: Text = {
  language: 'de',
  title: 'Deblur',
  startAgain: 'Deblur, von vorn',
  headline: 'Ein unscharfes Foto scharf machen',
  lead: 'Gib verwackelte oder unscharfe Fotos hinein. Sie kommen in gleicher Größe restauriert zurück.',

  drop: {
    pointer: 'Fotos hier ablegen',
    touch: 'Fotos auswählen',
    choose: 'Fotos auswählen',
    folder: 'Ordner auswählen',
    paste: 'oder ein Foto oder seine Adresse einfügen',
    cover: 'Loslassen zum Restaurieren',
    add: 'Fotos hinzufügen',
    inputLabel: 'Fotos auswählen',
    nothing: 'Darin war kein Foto.',
    address: 'Das Foto wird geholt …',
    addressFailed: 'Das Foto unter dieser Adresse ließ sich nicht holen. Speichere es und lege die Datei ab.',
  },

  privacy: {
    service: (days) =>
      `Fotos werden an diesen Dienst gesendet und ${days} Tage aufbewahrt. Du kannst sie jederzeit löschen.`,
    device: 'Nichts verlässt dieses Gerät.',
    more: 'Datenschutz',
  },

  settings: {
    label: 'Einstellungen',
    quality: 'Qualität',
    quick: 'Schnell',
    best: 'Beste',
    bestUnavailable: 'Die beste Qualität gibt es hier nicht.',
    onDevice: 'Auf diesem Gerät',
    onDeviceHint: (bytes) => `Nichts wird hochgeladen. Beim ersten Mal werden ${formatBytes(bytes)} geladen.`,
    format: 'Format',
    formats: { auto: 'Wie das Foto', jpeg: 'JPEG', png: 'PNG', webp: 'WebP', avif: 'AVIF' },
    metadata: 'Datum, Ort und Kamera behalten',
  },

  list: {
    label: 'Fotos',
    waiting: 'Wartet',
    done: 'Restauriert',
    sharp: 'War schon scharf',
    failed: 'Fehlgeschlagen',
    stopped: 'Angehalten',
    remove: (name) => `${name} entfernen`,
    downloadAll: 'Alle herunterladen',
    count: (done, all) => `${done} von ${all} restauriert`,
  },

  work: {
    uploading: (percent) => `Wird hochgeladen, ${percent} %`,
    queued: 'Wartet, bis es an der Reihe ist',
    pausing: (seconds) => `Der Dienst ist ausgelastet. Neuer Versuch in ${seconds} s`,
    model: (done, total) => `Das Netz wird geladen, ${formatBytes(done)} von ${formatBytes(total)}`,
    reading: 'Das Foto wird gelesen',
    starting: 'Startet',
    tiles: (percent) => `Wird restauriert, ${percent} %`,
    writing: 'Das Bild wird geschrieben',
    about: (seconds) => `etwa ${duration(seconds)}`,
    left: (seconds) => `noch ${duration(seconds)}`,
    cancel: 'Abbrechen',
  },

  stage: {
    label: 'Bild',
    before: 'Vorher',
    after: 'Nachher',
    original: 'Das Foto, wie es gegeben wurde',
    restored: 'Das restaurierte Foto',
    noPreview: 'Dieser Browser kann das Original in diesem Format nicht zeigen.',
    slider: 'Wo das restaurierte Bild beginnt',
    sliderValue: (percent) => `${percent} % restauriert`,
    view: 'Ansicht',
    modes: { slider: 'Schieber', side: 'Nebeneinander', single: 'Restauriert' },
    hold: 'Halten zeigt das Original',
    map: 'Zeigen, was sich geändert hat',
    zoom: 'Zoom',
    zoomIn: 'Vergrößern',
    zoomOut: 'Verkleinern',
    fit: 'Einpassen',
    percent: (percent) => `${percent} %`,
    fullScreen: 'Ganzer Bildschirm',
    keys: 'Pfeiltasten verschieben, + und − vergrößern und verkleinern, 0 passt ein, 1 zeigt volle Größe.',
  },

  result: {
    label: 'Ergebnis',
    download: 'Herunterladen',
    copy: 'Bild kopieren',
    copied: 'Kopiert',
    copyFailed: 'Dieser Browser hat es nicht kopiert.',
    share: 'Teilen',
    link: 'Link kopieren',
    linkNote: 'Die verlinkte Datei enthält weder Datum noch Ort noch Kamera.',
    erase: 'Beim Dienst löschen',
    erased: 'Beim Dienst gelöscht. Dieser Browser hat es noch.',
    eraseFailed: 'Es ließ sich nicht löschen. Versuche es später noch einmal.',
    again: 'Mit diesen Einstellungen restaurieren',
    strength: 'Stärke',
    strengthValue: (percent) => `${percent} %`,
    size: (before, after) => `${formatBytes(before)} → ${formatBytes(after)}`,
    smaller: 'Die Datei ist kleiner, weil sie neu komprimiert wurde. PNG verliert nichts.',
    took: (seconds) => `in ${seconds}`,
    placements: { edge: 'in deiner Nähe', runner: 'auf dem Server', device: 'auf diesem Gerät' },
    already: 'Dieses Foto war schon scharf, darum wurde fast nichts geändert.',
    beyond: 'Die Unschärfe ist stärker, als dieses Modell beheben kann. Die beste Qualität schafft vielleicht mehr.',
    unchanged: 'Es wurde fast nichts geändert. Das Foto ist vielleicht schon scharf oder zu stark verwischt.',
    scale: (scale) => `In 1/${scale} der Größe restauriert, weil die Unschärfe breit ist.`,
    notes: {
      'eight-bits': 'Browser behalten 8 Bit je Kanal. Der Dienst behält 16.',
      'png-instead': 'Dieser Browser kann das Format nicht schreiben, darum ist die Datei ein PNG.',
    },
  },

  failure: {
    retry: 'Noch einmal versuchen',
    onDevice: 'Auf diesem Gerät restaurieren',
    onService: 'Den Dienst machen lassen',
    another: 'Andere Fotos auswählen',
    reference: (code, id) => (id === null ? code : `${code} · ${id}`),
    fallback: 'Das hat nicht geklappt',
    texts: {
      unreachable: [
        'Der Dienst ist nicht erreichbar',
        'Prüfe die Verbindung und versuche es noch einmal, oder restauriere das Foto auf diesem Gerät.',
      ],
      not_a_picture: [
        'Die Antwort war kein Bild',
        'Etwas zwischen dieser Seite und dem Dienst hat sie vielleicht ersetzt.',
      ],
      too_slow: [
        'Das dauert zu lange',
        'Der Dienst arbeitet weiter. Versuche es später noch einmal: dann ist es vielleicht fertig.',
      ],
      page_failed: ['Auf dieser Seite ist etwas schiefgegangen', 'Lade die Seite neu und versuche es noch einmal.'],
      device_failed: ['Dieses Gerät hat es nicht geschafft', 'Meist fehlt Speicher. Der Dienst kann es übernehmen.'],
      device_fetch_failed: ['Das Netz ließ sich nicht laden', 'Prüfe die Verbindung und versuche es noch einmal.'],
      body_too_large: [
        'Die Datei ist zu groß zum Hochladen',
        'Restauriere sie auf diesem Gerät: dort gibt es diese Grenze nicht.',
      ],
      unsupported_media_type: [
        'Diese Art von Datei lässt sich nicht restaurieren',
        'Speichere das Foto als JPEG oder PNG. iPhone: Einstellungen › Kamera › Formate › Maximale Kompatibilität.',
      ],
      empty_body: ['Die Datei ist leer', 'Kopiere sie noch einmal von dort, wo sie herkommt.'],
      image_truncated: [
        'Die Datei ist unvollständig',
        'Sie endet mitten im Bild. Kopiere sie noch einmal von dort, wo sie herkommt.',
      ],
      image_undecodable: ['Die Datei ist beschädigt', 'Es ließ sich kein Bild daraus lesen.'],
      image_too_many_pixels: ['Das Foto ist zu groß', 'Verkleinere es und versuche es noch einmal.'],
      image_animated: ['Animationen werden nicht restauriert', 'Wähle ein einzelnes Bild.'],
      rate_limited: ['Das war viel in kurzer Zeit', 'Warte ein wenig, oder restauriere das Foto auf diesem Gerät.'],
      quota_exceeded: [
        'Die Grenze ist erreicht',
        'Versuche es später noch einmal, oder restauriere das Foto auf diesem Gerät.',
      ],
      runner_busy: [
        'Der Dienst ist ausgelastet',
        'Versuche es gleich noch einmal, oder restauriere das Foto auf diesem Gerät.',
      ],
      runner_unavailable: [
        'Der Dienst ist nicht bereit',
        'Versuche es gleich noch einmal, oder restauriere das Foto auf diesem Gerät.',
      ],
      service_unavailable: [
        'Der Dienst ist nicht bereit',
        'Versuche es gleich noch einmal, oder restauriere das Foto auf diesem Gerät.',
      ],
      deadline_exceeded: [
        'Der Dienst hat zu lange gebraucht',
        'Versuche es noch einmal, oder restauriere das Foto auf diesem Gerät.',
      ],
      canceled: ['Es wurde angehalten', 'Starte es wieder, wann du willst.'],
    },
  },

  examples: {
    label: 'Beispiele',
    lead: 'Sieh dir erst ein Beispiel an; dabei wird nichts hochgeladen.',
    names: { street: 'Eine Straße', portrait: 'Ein Porträt' },
    credit: 'Beispiele: REDS-Datensatz (Nah u. a., 2019), CC BY 4.0.',
  },

  developers: {
    label: 'Für Entwickler',
    lead: 'Dasselbe als Programm:',
    links: { docs: 'API', source: 'Quelltext', status: 'Zustand' },
  },

  storage:
    'Dieser Browser behält nichts für diese Seite (ein privates Fenster, oder kein Platz). Lade deine Ergebnisse herunter, bevor du sie schließt.',
  leave: 'Ein Foto wird noch hochgeladen.',
};

function duration(seconds: number): string {
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

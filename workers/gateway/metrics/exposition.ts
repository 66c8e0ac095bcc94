/** Prometheus text exposition format 0.0.4: the names of series, and the page that lists them. */

/** One metric with its series, as `[series, value]`. */
export interface MetricFamily {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly series: readonly (readonly [series: string, value: number])[];
}

/** `name{label="value"}`, labels in the order of their names, so that one series has one spelling. */
export function seriesName(name: string, labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  const list = pairs.map(([label, value]) => `${label}="${escapeValue(value)}"`);
  return list.length === 0 ? name : `${name}{${list.join(',')}}`;
}

/** The metric that a series belongs to. */
export const familyOf = (series: string): string => series.split('{', 1)[0] ?? series;

export function exposition(families: readonly MetricFamily[]): string {
  return families
    .flatMap(({ name, type, help, series }) => [
      `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`,
      `# TYPE ${name} ${type}`,
      ...series.map(([label, value]) => `${label} ${value}`),
    ])
    .map((line) => `${line}\n`)
    .join('');
}

function escapeValue(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

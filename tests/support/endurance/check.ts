/** Whether every picture came to its one right end, by all that can be asked. */
import { createHash } from 'node:crypto';
import { decodeRgb } from '../images.ts';
import { directRun, type DirectRun } from './reference.ts';
import type { EnduranceReport, Ordered, Stage } from './run.ts';

type Verdict = Pick<EnduranceReport, 'succeeded' | 'equal' | 'findings'>;

export async function check(stage: Stage, ordered: readonly Ordered[], count: number): Promise<Verdict> {
  const { receiver, service } = stage;
  const restore = await directRun();
  const findings = receiver.refused.map((reason) => `a webhook was not genuine: ${reason}`);
  if (ordered.length !== count) findings.push(`${count - ordered.length} pictures were never taken`);
  const ids = new Set(ordered.map(({ id }) => id));
  if (ids.size !== ordered.length) findings.push('two pictures have one prediction');
  for (const id of receiver.heard.keys())
    if (!ids.has(id)) findings.push(`a webhook tells of ${id}, which nobody made`);
  const { completedAgain } = service.book;
  if (completedAgain > 0) findings.push(`${completedAgain} inferences were done for what a runner had completed`);
  const sources = new Set<string>();
  let [succeeded, equal] = [0, 0];
  for (const order of ordered) {
    const seen = await look(stage, order, restore);
    sources.add(seen.digest);
    succeeded += Number(seen.succeeded);
    equal += Number(seen.equal);
    findings.push(...seen.findings.map((finding) => `picture ${order.index}, ${order.id}: ${finding}`));
  }
  if (sources.size !== ordered.length) findings.push(`only ${sources.size} pictures are distinct`);
  return { succeeded, equal, findings };
}

interface Seen {
  readonly digest: string;
  readonly succeeded: boolean;
  readonly equal: boolean;
  readonly findings: readonly string[];
}

async function look(stage: Stage, order: Ordered, restore: DirectRun): Promise<Seen> {
  const { client, pictures } = stage;
  const picture = await pictures.at(order.index);
  const digest = createHash('sha256').update(picture).digest('hex');
  const { status, output, error } = await client.prediction(order.id);
  const findings = webhookFindings(stage, order, output);
  if (status !== 'succeeded' || output === null) {
    return { digest, succeeded: false, equal: false, findings: [`it ${status}: ${error}`, ...findings] };
  }
  const [restored, expected] = [await decodeRgb(await client.file(output)), await restore(picture)];
  const equal = Buffer.compare(restored.data, expected.data) === 0 && restored.width === expected.width;
  if (!equal) findings.push('its result is not that of a direct run');
  const traces = stage.service.book.tracesOf(output.slice(output.lastIndexOf('/') + 1));
  if (traces.length === 0) findings.push('no runner had it');
  if (traces.some((traceId) => traceId !== order.traceId)) findings.push('a runner worked on it in another trace');
  return { digest, succeeded: true, equal, findings };
}

/** At least one webhook, and none that says anything but how it ended. */
function webhookFindings({ receiver }: Stage, { id, traceId }: Ordered, output: string | null): string[] {
  const heard = receiver.heard.get(id) ?? [];
  const findings = heard.length === 0 ? ['nobody was told of its end'] : [];
  if (new Set(heard.map(({ webhookId }) => webhookId)).size > 1) findings.push('its end was told under two ids');
  for (const { type, status, output: told, traceparent } of heard) {
    if (type !== 'prediction.completed' || status !== 'succeeded' || told !== output) {
      findings.push(`a webhook says ${type}, ${status}, ${told}`);
    }
    if (traceparent?.split('-')[1] !== traceId) findings.push(`a webhook is of another trace: ${traceparent}`);
  }
  return findings;
}

/** The way from a job to the object of a prediction that follows it. */
import type { Namespace } from '../call-object.ts';
import type { JobEvent, Subscribers } from './ports.ts';

/** The method of a prediction's object that jobs call: it takes each sequence once, and ignores what it knows. */
export interface Subscriber {
  onJobEvent(resultKey: string, sequence: number, event: JobEvent): Promise<void>;
}

export class DurableSubscribers implements Subscribers {
  readonly #namespace: Namespace<Subscriber>;

  constructor(namespace: Namespace<Subscriber>) {
    this.#namespace = namespace;
  }

  /** Not repeated here: the outbox does that. */
  async notify(subscriberId: string, resultKey: string, sequence: number, event: JobEvent): Promise<void> {
    await this.#namespace.getByName(subscriberId).onJobEvent(resultKey, sequence, event);
  }
}

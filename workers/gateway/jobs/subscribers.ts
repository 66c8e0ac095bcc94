/** The way from a job to the object of a prediction that follows it. */
import type { JobEvent, Subscribers } from './ports.ts';

/** The method of the bound object that jobs call: it takes each sequence once, and ignores what it knows. */
export interface SubscriberStub {
  onJobEvent(resultKey: string, sequence: number, event: JobEvent): Promise<void>;
}

export class DurableSubscribers implements Subscribers {
  readonly #stubOf: (subscriberId: string) => SubscriberStub;

  /** @param stubOf gives a new stub each time: after an error the old one stays broken */
  constructor(stubOf: (subscriberId: string) => SubscriberStub) {
    this.#stubOf = stubOf;
  }

  async notify(subscriberId: string, resultKey: string, sequence: number, event: JobEvent): Promise<void> {
    await this.#stubOf(subscriberId).onJobEvent(resultKey, sequence, event);
  }
}

/** A service that answers by a script: each request takes the next answer of its kind. */
export type Answer = Response | Error | ((request: Request) => Response | Promise<Response>);

export class ServiceStandIn {
  readonly requests: Request[] = [];
  /** Milliseconds of the (faked) clock at which each request came. */
  readonly times: number[] = [];
  readonly #answers: Answer[];

  constructor(...answers: readonly Answer[]) {
    this.#answers = [...answers];
  }

  readonly fetch = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    this.requests.push(request);
    this.times.push(Date.now());
    const answer = this.#answers.shift();
    if (answer === undefined) throw new Error(`nothing is left to answer ${request.method} ${request.url}`);
    if (answer instanceof Error) throw answer;
    return answer instanceof Response ? answer : answer(request);
  };

  header(name: string): (string | null)[] {
    return this.requests.map(({ headers }) => headers.get(name));
  }
}

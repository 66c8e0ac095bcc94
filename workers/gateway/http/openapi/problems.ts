/** Failures: the closed list of shared/protocol/errors.ts as responses. */
import { ERRORS, type ErrorCode } from '@deblur/shared/protocol/errors.ts';
import { headers } from './headers.ts';
import { ref } from './schemas.ts';

/** What can be wrong with a body of any kind. */
export const BODY_PROBLEMS = ['malformed_request', 'empty_body', 'request_timeout', 'body_too_large'] as const;

/** What can be wrong with a picture, or with what is asked for it. */
export const PICTURE_PROBLEMS = [
  'unsupported_media_type',
  'image_truncated',
  'image_undecodable',
  'image_too_many_pixels',
  'image_animated',
] as const;

export const OPTION_PROBLEMS = ['unknown_option', 'invalid_option'] as const;

/** One response for each status, with the codes that it may have here. */
export function problemResponses(codes: readonly ErrorCode[], common: object): Record<string, object> {
  const byStatus = Map.groupBy(new Set(codes), (code) => ERRORS[code].status);
  const statuses = [...byStatus].sort(([a], [b]) => a - b);
  return Object.fromEntries(statuses.map(([status, some]) => [status, problemResponse(status, some, common)]));
}

function problemResponse(status: number, codes: readonly ErrorCode[], common: object): object {
  return {
    description: codes.map((code) => `\`${code}\`: ${ERRORS[code].title}.`).join(' '),
    headers: { ...common, ...HEADERS_OF_STATUS[status] },
    content: {
      'application/problem+json': {
        schema: { allOf: [ref('Problem')], type: 'object', properties: { code: { enum: codes } } },
        examples: Object.fromEntries(codes.map((code) => [code, { $ref: `#/components/examples/${code}` }])),
      },
    },
  };
}

const HEADERS_OF_STATUS: Readonly<Record<number, object>> = {
  401: headers('WWW-Authenticate'),
  416: headers('Content-Range'),
  429: headers('Retry-After'),
  503: headers('Retry-After'),
  504: headers('Retry-After'),
};

/** `components.examples`: one body for each code. */
export function problemExamples(): Record<string, object> {
  return Object.fromEntries(
    // What is no operation is answered so, and by none of them.
    Object.entries(ERRORS)
      .filter(([code]) => code !== 'method_not_allowed')
      .map(([code, { status, title }]) => {
        const detail = 'What is wrong with this very request.';
        const request_id = '5b0c3a52-8f4e-4a39-9d6b-0c3a528f4e4a';
        return [code, { value: { type: `urn:deblur:problem:${code}`, title, status, detail, code, request_id } }];
      }),
  );
}

/** For people: every code, in Markdown. */
export function problemTable(): string {
  const rows = Object.entries(ERRORS).map(
    ([code, { status, title, retryable }]) => `| \`${code}\` | ${status} | ${title} | ${retryable ? 'yes' : 'no'} |`,
  );
  return ['| code | status | title | the same again may succeed |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

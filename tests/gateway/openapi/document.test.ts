import { env } from 'cloudflare:workers';
import { ERRORS } from '@deblur/shared/protocol/errors.ts';
import { describe, expect, it } from 'vitest';
import { createApp } from '../../../workers/gateway/app.ts';
import { createPorts } from '../../../workers/gateway/deps.ts';
import { production } from '../access/support.ts';
import { document, type DocumentedOperation } from '../support/conformance.ts';
import { call } from '../support/gateway.ts';

const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${path}`, method, path, operation })),
);

/** Image links are matched by their raw path, so that the router sees one wildcard. */
const DOCUMENTED_AS: Readonly<Record<string, string>> = { '/i/*': '/i/{signature}/{options}/{source}' };

describe('the document', () => {
  it('has every public route of the app, and no other', () => {
    const routes = createApp(createPorts(env)).routes.filter(
      ({ method, path }) => method !== 'ALL' && !path.startsWith('/internal/'),
    );
    const names = routes.map(({ method, path }) => {
      const documented = DOCUMENTED_AS[path] ?? path.replaceAll(/:(\w+)/g, '{$1}');
      return `${method.toLowerCase()} ${documented}`;
    });
    expect(operations.map(({ name }) => name).sort()).toEqual([...new Set(names)].sort());
  });

  it('has every code, each under its status and none elsewhere', () => {
    const seen = new Map<string, Set<number>>();
    for (const { operation } of operations) {
      for (const [status, { content }] of Object.entries(operation.responses)) {
        const schema = content?.['application/problem+json']?.schema;
        const { enum: codes = [] } = (schema?.properties?.['code'] ?? {}) as { enum?: readonly string[] };
        for (const code of codes) {
          seen.set(code, (seen.get(code) ?? new Set()).add(Number(status)));
        }
      }
    }
    // What is no operation is answered with this one.
    seen.set('method_not_allowed', new Set([405]));
    const table = Object.entries(ERRORS).map(([code, { status }]) => [code, new Set([status])] as const);
    expect(seen).toEqual(new Map(table));
    expect(document.components.schemas['Problem']!.properties!['code']!.enum).toEqual(Object.keys(ERRORS));
    for (const [code, { status, title }] of table.map(
      ([code]) => [code, ERRORS[code as keyof typeof ERRORS]] as const,
    )) {
      expect(document.info.description).toContain(`| \`${code}\` | ${status} | ${title} |`);
    }
  });

  it('is served as it is, to every origin', async () => {
    const response = await call('/openapi.json');
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    expect(await response.json()).toEqual(document);
    expect((await call('/openapi.json', { method: 'HEAD' })).status).toBe(200);
    expect((await call('/openapi.json', { method: 'POST' })).headers.get('allow')).toBe('GET, HEAD');
  });

  it('names nothing that it does not have', () => {
    const references = JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g);
    for (const [, path] of references) {
      const target = path!.split('/').reduce<unknown>((at, key) => (at as Record<string, unknown>)?.[key], document);
      expect(target, path).toBeDefined();
    }
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });
});

/** A path of the operation, with parameters that name nothing. */
const pathOf = (path: string): string =>
  path
    .replace('{owner}', 'deblur')
    .replace('{name}', 'dhnet-edge')
    .replaceAll(/\{\w+\}/g, '1');

const scopeOf = ({ security }: DocumentedOperation): string | undefined => security[0]?.['apiKey']?.[0];

describe('what the document says of access', () => {
  const scopes = ['create', 'read', 'delete', 'admin'];
  const closed = production({ ANONYMOUS_ACCESS: 'false' });
  const open = production();
  const ask = (service: typeof open, { method, path }: { method: string; path: string }, key?: string) =>
    service.call(pathOf(path), { method, ...(key === undefined ? {} : { key }) });

  it.each(operations)('holds: $name', async ({ method, path, operation }) => {
    const scope = scopeOf(operation);
    const asked = { method, path };
    if (scope === undefined) return expect((await ask(closed, asked)).status).not.toBe(401);
    expect((await ask(closed, asked)).status).toBe(401);
    const anonymous = operation.security.some((scheme) => Object.keys(scheme).length === 0);
    expect((await ask(open, asked)).status === 401).toBe(!anonymous);
    const [without, having] = await Promise.all([
      open.keyOf('scopes', ...scopes.filter((other) => other !== scope)),
      open.keyOf('scopes', scope),
    ]);
    expect((await ask(open, asked, without)).status).toBe(403);
    expect([401, 403]).not.toContain((await ask(open, asked, having)).status);
  });
});

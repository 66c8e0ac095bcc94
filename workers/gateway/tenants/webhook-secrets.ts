import { newWebhookSecret } from '@deblur/shared/protocol/standard-webhooks.ts';
import type { WebhookSecrets } from './access-ports.ts';
import { callTenant, type TenantStubs } from './tenant-stub.ts';

export class TenantWebhookSecrets implements WebhookSecrets {
  readonly #stubs: TenantStubs;

  constructor(stubs: TenantStubs) {
    this.#stubs = stubs;
  }

  async signing(tenantId: string): Promise<readonly [current: string, ...older: string[]]> {
    const candidate = newWebhookSecret();
    const [current = candidate, ...older] = await callTenant(this.#stubs, tenantId, (tenant) =>
      tenant.signingSecrets(candidate),
    );
    return [current, ...older];
  }

  rotate(tenantId: string): Promise<string> {
    const next = newWebhookSecret();
    return callTenant(this.#stubs, tenantId, (tenant) => tenant.rotateSecret(next));
  }
}

/** `/v1/webhooks/default/secret`: what signs the tenant's webhooks, in Replicate's form. Who has it can forge them. */
import type { Handler } from 'hono';
import type { WebhookSecrets } from '../../tenants/access-ports.ts';
import type { z } from 'zod';
import type { AppEnv } from '../context.ts';
import type { webhookSecretSchema } from '../api-schemas.ts';

export interface WebhookSecretPorts {
  readonly webhookSecrets: WebhookSecrets;
}

type Secret = z.infer<typeof webhookSecretSchema>;

export function getWebhookSecret({ webhookSecrets }: WebhookSecretPorts): Handler<AppEnv> {
  return async (c) => {
    const [key] = await webhookSecrets.signing(c.get('tenant').id);
    return c.json({ key } satisfies Secret);
  };
}

/** For WEBHOOK_SECRET_OVERLAP_SECONDS the old one signs beside the new one. */
export function rotateWebhookSecret({ webhookSecrets }: WebhookSecretPorts): Handler<AppEnv> {
  return async (c) => c.json({ key: await webhookSecrets.rotate(c.get('tenant').id) } satisfies Secret);
}

import { readdirSync } from 'node:fs';
import path from 'node:path';
import { ScaledObject, TriggerAuthentication } from '@kubernetes-models/keda/keda.sh/v1alpha1';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readConfig, schema } from '../../gpu-runner/config.ts';
import { root } from '../../scripts/lib/service.ts';
import { complaintsOf, read, yamlOf, type Yaml } from './support/tools.ts';
import { keysNeverRead } from './support/unknown-keys.ts';

const folder = 'gpu-runner/deploy/kubernetes';
/** The oldest that is still supported upstream, and the newest that the validator knows. */
const VERSIONS = ['1.34.0', '1.37.0'];
const files = readdirSync(path.join(root, folder)).filter((file) => file !== 'kustomization.yaml');
const builtIn = files.filter((file) => file !== 'scaled-object.yaml');
const [deployment] = yamlOf(`${folder}/deployment.yaml`);
const [runner] = deployment.spec.template.spec.containers;
const [scaledObject, ...authentications] = yamlOf(`${folder}/scaled-object.yaml`);
const [service, peers] = yamlOf(`${folder}/service.yaml`);
const environment: Record<string, string> = Object.fromEntries(
  runner.env.map(({ name, value }: Yaml) => [name, value ?? 'from a secret']),
);

/** What our kustomization may say, by kustomize's reference: kustomize refuses an unknown key, but only when it is run. */
const kustomization = z.strictObject({
  apiVersion: z.literal('kustomize.config.k8s.io/v1beta1'),
  kind: z.literal('Kustomization'),
  namespace: z.string().regex(/^[a-z0-9-]{1,63}$/),
  resources: z.array(z.string()).min(1),
  images: z
    .array(
      z
        .strictObject({
          name: z.string(),
          newName: z.string().optional(),
          // A tag like 1.10 needs quotes: it would be the number 1.1.
          newTag: z.string().optional(),
          digest: z
            .string()
            .regex(/^sha256:[0-9a-f]{64}$/)
            .optional(),
        })
        .refine(({ newTag, digest }) => newTag === undefined || digest === undefined, 'a tag and a digest'),
    )
    .optional(),
});

describe.each(VERSIONS)('for Kubernetes %s', (version) => {
  const validate = (args: readonly string[], input?: string): string | undefined =>
    complaintsOf('kubernetes-validate', ['--strict', '--quiet', '-k', version, ...args], input);

  it.each(builtIn)('%s follows the published schema, to the last key', (file) => {
    expect(validate([`${folder}/${file}`])).toBeUndefined();
  });

  it('refuses a misspelt key', () => {
    const misspelt = read(`${folder}/deployment.yaml`).replace('readinessProbe:', 'readynessProbe:');
    expect(validate(['-'], misspelt)).toContain('readynessProbe');
  });
});

describe('KEDA', () => {
  const validate = (resource: Yaml): string[] =>
    keysNeverRead(resource.spec, (spec) => {
      const Model = resource.kind === 'ScaledObject' ? ScaledObject : TriggerAuthentication;
      // Set afterwards, because the constructor copies, which reads every key.
      Object.assign(new Model({ metadata: resource.metadata } as never), { spec }).validate();
    });

  it('gets resources that follow its definitions, to the last key', () => {
    expect(scaledObject).toMatchObject({ apiVersion: 'keda.sh/v1alpha1', kind: 'ScaledObject' });
    for (const resource of [scaledObject, ...authentications]) expect(validate(resource)).toEqual([]);
    const misspelt = { ...scaledObject, spec: { ...scaledObject.spec, minReplicas: 0 } };
    expect(validate(misspelt)).toEqual(['.minReplicas']);
    expect(() => validate({ ...scaledObject, spec: { triggers: [] } })).toThrow(/scaleTargetRef/);
  });

  it('wakes the first runner for a single job that waits', () => {
    const backlog = scaledObject.spec.triggers[0].metadata;
    expect(scaledObject.spec).toMatchObject({ minReplicaCount: 0, scaleTargetRef: { name: deployment.metadata.name } });
    expect(scaledObject.spec.fallback).toBeUndefined();
    expect(backlog).toMatchObject({
      valueLocation: 'deblur_jobs_backlog',
      activationTargetValue: '0',
      format: 'prometheus',
    });
  });

  it('asks for another runner before the last slot is taken', () => {
    const pending = scaledObject.spec.triggers[1].metadata;
    const { slots } = readConfig({ ...environment, ENVIRONMENT: 'production' });
    expect(pending).toMatchObject({ valueLocation: 'deblur_runner_pending', aggregationType: 'sum' });
    expect(Number(pending.targetValue)).toBeLessThan(slots);
    expect(Number(pending.targetValue)).toBeGreaterThanOrEqual(slots / 2);
    const { hostname, port } = new URL(pending.url);
    expect(hostname).toBe(`${service.metadata.name}.${service.metadata.namespace}.svc.cluster.local`);
    expect(Number(port)).toBe(runner.ports[0].containerPort);
  });

  it('authenticates with secrets that the triggers name', () => {
    const names = authentications.map(({ metadata }) => metadata.name);
    expect(scaledObject.spec.triggers.map((trigger: Yaml) => trigger.authenticationRef.name)).toEqual(names);
  });
});

describe('the kustomization', () => {
  const documents = yamlOf(`${folder}/kustomization.yaml`);
  const [document] = documents;

  it('has keys that kustomize knows, of the types that it takes', () => {
    expect(documents).toHaveLength(1);
    expect(kustomization.parse(document)).toEqual(document);
    const [image] = document.images;
    for (const wrong of [{ resource: [] }, { kind: 'Component' }, { images: [{ ...image, newTag: 1.1 }] }]) {
      expect(kustomization.safeParse({ ...document, ...wrong }).success).toBe(false);
    }
  });

  it('applies every file, and only files that are there', () => {
    const { resources, images } = kustomization.parse(document);
    expect([...resources].sort()).toEqual([...files].sort());
    expect(images?.map(({ name }) => name)).toEqual([runner.image]);
  });

  it('puts things where they say that they are', () => {
    // kustomize would move them without a word, and names that lead from one to the other would not follow.
    const elsewhere = files
      .flatMap((file) => yamlOf(`${folder}/${file}`))
      .map(({ kind, metadata }) => (kind === 'Namespace' ? metadata.name : metadata.namespace))
      .filter((namespace) => namespace !== kustomization.parse(document).namespace);
    expect(elsewhere).toEqual([]);
  });
});

it('gives the runner variables that it knows and accepts', () => {
  expect(Object.keys(schema.shape)).toEqual(expect.arrayContaining(Object.keys(environment)));
  expect(() => readConfig({ ...environment, ENVIRONMENT: 'production' })).not.toThrow();
});

it('kills no runner that still drains', () => {
  const { terminationGracePeriodSeconds: grace } = deployment.spec.template.spec;
  const { drainSeconds } = readConfig(environment);
  expect(grace).toBeGreaterThan(runner.lifecycle.preStop.sleep.seconds + drainSeconds + 5);
});

it('leads the Service, the budget and the network policy to the same pods', () => {
  const labels = deployment.spec.template.metadata.labels;
  const [budget] = yamlOf(`${folder}/pod-disruption-budget.yaml`);
  const [policy] = yamlOf(`${folder}/network-policy.yaml`);
  for (const selector of [
    service.spec.selector,
    budget.spec.selector.matchLabels,
    policy.spec.podSelector.matchLabels,
  ]) {
    expect(labels).toMatchObject(selector);
  }
});

it('lets the runners find and call each other, those that drain too', () => {
  expect(readConfig({ ...environment, ENVIRONMENT: 'production' }).peers).toEqual([peers.metadata.name]);
  // Headless: its name leads to every pod. It only leads to ready ones unless it is told.
  expect(peers.spec).toMatchObject({
    clusterIP: 'None',
    publishNotReadyAddresses: true,
    selector: service.spec.selector,
  });
  const [policy] = yamlOf(`${folder}/network-policy.yaml`);
  const byPeers = { podSelector: { matchLabels: service.spec.selector } };
  expect(policy.spec.ingress[0].from).toContainEqual(byPeers);
  const [{ name }] = runner.ports;
  expect(policy.spec.egress).toContainEqual({ to: [byPeers], ports: [{ port: name, protocol: 'TCP' }] });
});

it('lets nothing in the cluster call the tunnel, and the tunnel call the runner and public addresses only', () => {
  const [tunnel] = yamlOf(`${folder}/tunnel.yaml`);
  const policy = yamlOf(`${folder}/network-policy.yaml`).find(({ metadata }) => metadata.name === tunnel.metadata.name);
  expect(tunnel.spec.template.metadata.labels).toMatchObject(policy.spec.podSelector.matchLabels);
  expect(policy.spec).toMatchObject({ policyTypes: ['Ingress', 'Egress'], ingress: [] });
  const toRunner = { podSelector: { matchLabels: service.spec.selector } };
  expect(policy.spec.egress).toContainEqual({ to: [toRunner], ports: [{ port: 'http', protocol: 'TCP' }] });
  const [runnerPolicy] = yamlOf(`${folder}/network-policy.yaml`);
  const publicBlock = runnerPolicy.spec.egress.at(-1).to;
  expect(policy.spec.egress.at(-1).to).toEqual(publicBlock);
});

it('leaves the number of runners to KEDA', () => {
  expect(deployment.spec.replicas).toBeUndefined();
});

import { modelFactsSchema } from '@deblur/shared/protocol/model-manifest.ts';
import { describe, expect, it } from 'vitest';
import exported from '../../model-export/weights/dhnet-edge/manifest.json';
import { readConfig, type Variables } from '../../workers/gateway/config.ts';

const own: Variables = {
  ENVIRONMENT: 'local',
  INTERNAL_ORIGIN: 'http://127.0.0.1:8787',
  INTERNAL_SECRET: 's'.repeat(32),
  GPU_RUNNER_URL: 'http://127.0.0.1:5000',
  GPU_RUNNER_TOKEN: 'the-token',
  REPLICATE_MODEL: '',
};

const replicate: Variables = {
  ENVIRONMENT: 'production',
  INTERNAL_ORIGIN: 'https://deblur.test',
  INTERNAL_SECRET: 's'.repeat(32),
  GPU_RUNNER_URL: '',
  REPLICATE_MODEL: 'acme/deblur',
  REPLICATE_API_TOKEN: 'r8_secret',
  ADMIN_KEY: 'a'.repeat(32),
};

it('offers nothing that the operator did not ask for', () => {
  expect(readConfig(own)).toMatchObject({
    signedUrlSources: { hosts: [], domains: [], origins: [], any: false },
    signingKeys: [],
    sharedCache: false,
    purge: null,
    metricsToken: null,
  });
});

describe('where large pictures are restored', () => {
  it('names one runner of one’s own', () => {
    expect(readConfig(own).runner).toEqual({ kind: 'own', url: 'http://127.0.0.1:5000', token: 'the-token' });
  });

  it.each(['acme/deblur', `acme/deblur:${'0a'.repeat(32)}`, 'deployments/acme/deblur.v2'])(
    'or %s on Replicate',
    (model) => {
      expect(readConfig({ ...replicate, REPLICATE_MODEL: model }).runner).toEqual({
        kind: 'replicate',
        model,
        token: 'r8_secret',
      });
    },
  );

  it.each<[string, Partial<Variables>, RegExp]>([
    [
      'both',
      { REPLICATE_MODEL: 'acme/deblur', REPLICATE_API_TOKEN: 'r8_secret' },
      /GPU_RUNNER_URL must be set, or REPLICATE_MODEL/,
    ],
    ['neither', { GPU_RUNNER_URL: '' }, /GPU_RUNNER_URL must be set, or REPLICATE_MODEL/],
    ['a runner without its token', { GPU_RUNNER_TOKEN: '' }, /GPU_RUNNER_TOKEN/],
    ['a model without its token', { GPU_RUNNER_URL: '', REPLICATE_MODEL: 'acme/deblur' }, /REPLICATE_API_TOKEN/],
    ['a model that is none', { GPU_RUNNER_URL: '', REPLICATE_MODEL: 'https://x/y' }, /REPLICATE_MODEL/],
    ['a version that is none', { GPU_RUNNER_URL: '', REPLICATE_MODEL: 'a/b:latest' }, /REPLICATE_MODEL/],
    ['a model that climbs', { GPU_RUNNER_URL: '', REPLICATE_MODEL: '../b' }, /REPLICATE_MODEL/],
    ['a runner that is no URL', { GPU_RUNNER_URL: 'runner:5000' }, /GPU_RUNNER_URL/],
  ])('is refused, by name and without a value: %s', (_, variables, name) => {
    const read = () => readConfig({ ...own, ...variables });
    expect(read).toThrow(name);
    expect(read).not.toThrow(/r8_secret|the-token|short/);
  });
});

describe('what the runner has besides the shipped models', () => {
  const facts = { ...modelFactsSchema.parse(exported), name: 'dhnet-b' };
  const read = (text: string) => readConfig({ ...own, RUNNER_MODELS: text }).runnerModels;

  it('is a list of manifests, with their files or without', () => {
    expect(read('')).toEqual([]);
    expect(read(JSON.stringify([facts]))).toEqual([facts]);
    expect(read(JSON.stringify([{ ...exported, name: 'dhnet-b' }], undefined, 2))).toEqual([facts]);
  });

  it.each([
    ['no JSON', 'dhnet-b', /RUNNER_MODELS must be a JSON list of model manifests$/],
    ['no list', JSON.stringify(facts), /RUNNER_MODELS must be a JSON list .*: all: /],
    ['an unknown model', JSON.stringify([{ ...facts, name: 'secret-xl' }]), /RUNNER_MODELS .*: 0\.name: /],
    ['a version that is none', JSON.stringify([{ ...facts, version: 'latest' }]), /RUNNER_MODELS .*: 0\.version: /],
    ['a model twice', JSON.stringify([facts, facts]), /RUNNER_MODELS .*: all: two models have one name/],
  ])('is refused, by name and without a value: %s', (_, text, complaint) => {
    expect(() => read(text)).toThrow(complaint);
    expect(() => read(text)).not.toThrow(/secret-xl|latest/);
  });
});

import { modelFactsSchema } from '@deblur/shared/protocol/model-manifest.ts';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import exported from '../../model-export/weights/dhnet-edge/manifest.json';
import { readConfig, type Variables } from '../../workers/gateway/config.ts';

const own: Variables = {
  ENVIRONMENT: 'local',
  INTERNAL_ORIGIN: 'http://127.0.0.1:8787',
  INTERNAL_SECRET: 's'.repeat(32),
  RESULT_KEY_SECRET: 'k'.repeat(32),
  RUNNER_URL: 'http://127.0.0.1:5000',
  RUNNER_TOKEN: 'the-token',
  REPLICATE_MODEL: '',
};

const replicate: Variables = {
  ENVIRONMENT: 'production',
  INTERNAL_ORIGIN: 'https://deblur.test',
  INTERNAL_SECRET: 's'.repeat(32),
  RESULT_KEY_SECRET: 'k'.repeat(32),
  RUNNER_URL: '',
  REPLICATE_MODEL: 'acme/deblur',
  REPLICATE_API_TOKEN: 'r8_secret',
  ADMIN_KEY: 'a'.repeat(32),
};

it('offers nothing that the operator did not ask for', () => {
  expect(readConfig(own)).toMatchObject({
    imageLinkSources: { hosts: [], domains: [], origins: [], any: false },
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
      /RUNNER_URL must be set, or REPLICATE_MODEL/,
    ],
    ['neither', { RUNNER_URL: '' }, /RUNNER_URL must be set, or REPLICATE_MODEL/],
    ['a runner without its token', { RUNNER_TOKEN: '' }, /RUNNER_TOKEN/],
    ['a model without its token', { RUNNER_URL: '', REPLICATE_MODEL: 'acme/deblur' }, /REPLICATE_API_TOKEN/],
    ['a model that is none', { RUNNER_URL: '', REPLICATE_MODEL: 'https://x/y' }, /REPLICATE_MODEL/],
    ['a version that is none', { RUNNER_URL: '', REPLICATE_MODEL: 'a/b:latest' }, /REPLICATE_MODEL/],
    ['a model that climbs', { RUNNER_URL: '', REPLICATE_MODEL: '../b' }, /REPLICATE_MODEL/],
    ['a runner that is no URL', { RUNNER_URL: 'runner:5000' }, /RUNNER_URL/],
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
    ['a name that is none', JSON.stringify([{ ...facts, name: 'secret xl' }]), /RUNNER_MODELS .*: 0\.name: /],
    ['a version that is none', JSON.stringify([{ ...facts, version: 'latest' }]), /RUNNER_MODELS .*: 0\.version: /],
    ['a model twice', JSON.stringify([facts, facts]), /RUNNER_MODELS .*: all: two models have one name/],
  ])('is refused, by name and without a value: %s', (_, text, complaint) => {
    expect(() => read(text)).toThrow(complaint);
    expect(() => read(text)).not.toThrow(/secret xl|latest/);
  });
});

describe('variables of version 0.1.0', () => {
  const { RUNNER_URL, RUNNER_TOKEN, ...rest } = own;
  const old = { ...rest, RUNNER_URL: '', GPU_RUNNER_URL: RUNNER_URL, GPU_RUNNER_TOKEN: RUNNER_TOKEN };

  it('are read under their old names, with one warning each', () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    onTestFinished(() => warn.mockRestore());
    expect(readConfig(old).runner).toEqual({ kind: 'own', url: RUNNER_URL, token: RUNNER_TOKEN });
    readConfig(old);
    expect(warn.mock.calls.map(([line]): unknown => JSON.parse(String(line)))).toEqual([
      { level: 'warn', event: 'variable_renamed', variable: 'GPU_RUNNER_URL', use: 'RUNNER_URL' },
      { level: 'warn', event: 'variable_renamed', variable: 'GPU_RUNNER_TOKEN', use: 'RUNNER_TOKEN' },
    ]);
  });

  it('yield to variables of the new names', () => {
    const both = { ...own, GPU_RUNNER_URL: 'http://127.0.0.1:1', GPU_RUNNER_TOKEN: 'old' };
    expect(readConfig(both).runner).toMatchObject({ url: RUNNER_URL, token: RUNNER_TOKEN });
  });

  it('name the keys and sources of image links', () => {
    const key = `${'a'.repeat(64)}:${'b'.repeat(32)}`;
    const variables = { ...own, SIGNED_URL_KEYS: key, SIGNED_URL_SOURCES: 'cdn.example.com' };
    const links = readConfig(variables);
    expect(links).toMatchObject({ signingKeys: [{}], imageLinkSources: { hosts: ['cdn.example.com'] } });
  });
});

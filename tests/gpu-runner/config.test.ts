import { describe, expect, it } from 'vitest';
import { readConfig } from '../../gpu-runner/config.ts';

describe('readConfig', () => {
  it('binds to loopback on 5000 unless it is told otherwise', () => {
    expect(readConfig({})).toMatchObject({
      host: '127.0.0.1',
      port: 5000,
      executionProvider: 'auto',
      token: undefined,
    });
  });

  it('decodes HEIC unless it is told not to', () => {
    expect(readConfig({}).heicDecoding).toBe(true);
    expect(readConfig({ HEIC_DECODING: 'false' }).heicDecoding).toBe(false);
    expect(() => readConfig({ HEIC_DECODING: 'no' })).toThrow('HEIC_DECODING');
  });

  it('counts empty values as absent', () => {
    expect(readConfig({ PORT: '', RUNNER_TOKEN: '', HOST: '' })).toMatchObject({ port: 5000, token: undefined });
  });

  it('gives few cores to sessions and further ones to threads inside a run', () => {
    expect(readConfig({}, 2)).toMatchObject({ sessionWorkers: 2, intraOpThreads: 1 });
    expect(readConfig({}, 16)).toMatchObject({ sessionWorkers: 4, intraOpThreads: 4 });
    expect(readConfig({ SESSION_WORKERS: '1' }, 3)).toMatchObject({ sessionWorkers: 1, intraOpThreads: 3 });
    expect(readConfig({ SESSION_WORKERS: '8' }, 2)).toMatchObject({ sessionWorkers: 8, intraOpThreads: 1 });
  });

  it('has a picture thread for each core, and none that a slot could not use', () => {
    expect(readConfig({ SLOTS: '16' }, 4).pictureThreads).toBe(4);
    expect(readConfig({ SLOTS: '3' }, 16).pictureThreads).toBe(3);
  });

  it('reads origins as a list', () => {
    const { allowOrigins } = readConfig({ ALLOW_ORIGINS: 'http://127.0.0.1:8787, https://a.example:8443' });
    expect(allowOrigins).toEqual(['http://127.0.0.1:8787', 'https://a.example:8443']);
  });

  it('lets an operator name stores of models, in production too', () => {
    const env = {
      ENVIRONMENT: 'production',
      MODEL_ORIGINS: 'http://minio.models:9000',
      MODEL_MANIFESTS: 'http://minio.models:9000/dhnet/manifest.json',
    };
    expect(readConfig(env)).toMatchObject({
      modelOrigins: ['http://minio.models:9000'],
      modelManifests: ['http://minio.models:9000/dhnet/manifest.json'],
    });
  });

  it('leaves batches to the execution provider unless it is told', () => {
    expect(readConfig({})).toMatchObject({ batchSize: undefined, modelMemoryBytes: undefined });
    expect(readConfig({ BATCH_SIZE: '4', MODEL_MEMORY_MB: '500' })).toMatchObject({
      batchSize: 4,
      modelMemoryBytes: 500_000_000,
    });
  });

  it.each([
    ['PORT', 'eighty'],
    ['PORT', '65536'],
    ['SLOTS', '0'],
    ['SESSION_WORKERS', '-1'],
    ['EXECUTION_PROVIDER', 'tpu'],
    ['ALLOW_ORIGINS', 'http://127.0.0.1:8787/path'],
    ['ALLOW_ORIGINS', '*'],
    ['BATCH_SIZE', '0'],
    ['BATCH_DELAY_MS', '1.5'],
    ['MODEL_MEMORY_MB', 'much'],
    ['MODEL_MANIFESTS', 'file:///etc/passwd'],
    ['MODEL_MANIFESTS', 'https://a.example/m.json,nothing'],
    ['MODEL_ORIGINS', 'models.internal'],
    ['PEERS', 'http://deblur-runner-peers'],
    ['PEERS', 'deblur-runner-peers:5000'],
    ['PEERS', 'a b'],
    ['WEBHOOK_SECRET', 'secret'],
    ['WEBHOOK_SECRET', 'whsec_c2hvcnQ='],
    ['WEBHOOK_SECRET', `whsec_${'A'.repeat(33)}`],
    ['WEBHOOK_SECRET', `whsec_${'A'.repeat(34)}=`],
    ['ENVIRONMENT', 'staging'],
  ])('names %s when it is "%s"', (name, value) => {
    expect(() => readConfig({ [name]: value })).toThrow(new RegExp(`^${name}: `));
  });

  it('takes names and addresses of peers, which all listen on one port', () => {
    expect(readConfig({ PEERS: 'deblur-runner-peers, 10.0.0.7,[fd00::1]' }).peers).toEqual([
      'deblur-runner-peers',
      '10.0.0.7',
      '[fd00::1]',
    ]);
    expect(() => readConfig({ PEERS: 'deblur-runner-peers', PORT: '0' })).toThrow(/^PORT: /);
  });

  it('refuses trusted origins in production', () => {
    expect(() => readConfig({ ENVIRONMENT: 'production', ALLOW_ORIGINS: 'http://127.0.0.1:1' })).toThrow(
      /^ALLOW_ORIGINS/,
    );
    expect(readConfig({ ENVIRONMENT: 'production' }).allowOrigins).toEqual([]);
  });
});

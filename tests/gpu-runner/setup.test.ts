/** What stands between a start and READY: models and the execution provider. */
import { hash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { MODEL_DIR, startServer, type RunningServer } from './support/runner.ts';

let dir: string;
let server: RunningServer | undefined;

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'deblur-models-'));
  await cp(path.join(MODEL_DIR, 'dhnet-edge'), path.join(dir, 'dhnet-edge'), { recursive: true });
});
afterEach(async () => {
  await server?.stop();
  server = undefined;
  await rm(dir, { recursive: true });
});

async function expectSetupFailure(reason: RegExp, env: Readonly<Record<string, string>> = {}): Promise<void> {
  server = await startServer({ MODEL_DIR: dir, ...env });
  const { status, setup } = await server.health();
  expect(status).toBe('SETUP_FAILED');
  expect(setup).toMatchObject({ status: 'failed', logs: expect.stringMatching(reason), execution_provider: null });
  expect(setup.logs).not.toContain(dir);
  const answer = await server.call('POST', '/predictions', { input: { image: 'data:,' } });
  expect(answer.status).toBe(503);
  expect(answer.body).toMatchObject({ status: 'failed' });
}

async function editManifest(edit: (manifest: Record<string, unknown>) => void): Promise<void> {
  const file = path.join(dir, 'dhnet-edge/manifest.json');
  const manifest = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  edit(manifest);
  await writeFile(file, JSON.stringify(manifest));
}

it('takes no model whose file is not the one of its manifest', async () => {
  const names = await readdir(path.join(dir, 'dhnet-edge'));
  const file = path.join(
    dir,
    'dhnet-edge',
    names.find((name) => name.endsWith('float32.onnx'))!,
  );
  const bytes = await readFile(file);
  bytes[bytes.length >> 1]! ^= 1;
  await writeFile(file, bytes);
  await expectSetupFailure(/^model dhnet-edge: sha256 of dhnet-edge\.float32\.onnx/);
});

it('says when a file is missing', async () => {
  await rm(path.join(dir, 'dhnet-edge/dhnet-edge.uint8.onnx'));
  await expectSetupFailure(/^model dhnet-edge: dhnet-edge\.uint8\.onnx cannot be read/);
});

it('says when a copy of a file was interrupted', async () => {
  const file = path.join(dir, 'dhnet-edge/dhnet-edge.uint8.onnx');
  const bytes = await readFile(file);
  await writeFile(file, bytes.subarray(0, 1000));
  await expectSetupFailure(
    new RegExp(`^model dhnet-edge: dhnet-edge\\.uint8\\.onnx has 1000 bytes, and its manifest says ${bytes.length}$`),
  );
});

it('says when a manifest is invalid, and where', async () => {
  await editManifest((manifest) => delete manifest['tile']);
  await expectSetupFailure(/^model dhnet-edge: manifest\.json is invalid \(tile: /);
});

it('offers no random weights', async () => {
  await editManifest((manifest) => (manifest['trained'] = null));
  await expectSetupFailure(/no model with trained weights/);
});

/** Writes another graph in a variant's place, with the manifest's word for it: only the session can tell. */
async function replaceGraph(bytes: Uint8Array): Promise<void> {
  const file = 'dhnet-edge.uint8.onnx';
  await writeFile(path.join(dir, 'dhnet-edge', file), bytes);
  await editManifest((manifest) => {
    const variants = manifest['variants'] as { file: string; sha256: string; bytes: number }[];
    const variant = variants.find((each) => each.file === file)!;
    Object.assign(variant, { sha256: hash('sha256', bytes), bytes: bytes.length });
  });
}

it('says when a graph is none, though it is the one of its manifest', async () => {
  const bytes = await readFile(path.join(dir, 'dhnet-edge/dhnet-edge.uint8.onnx'));
  await replaceGraph(bytes.subarray(0, bytes.length >> 1));
  await expectSetupFailure(/^The runner cannot load its model: it cannot be opened on cpu: /, {
    EXECUTION_PROVIDER: 'cpu',
  });
});

it('says when a graph is of another variant than its manifest says', async () => {
  await replaceGraph(await readFile(path.join(dir, 'dhnet-edge/dhnet-edge.float32.onnx')));
  await expectSetupFailure(/^The network failed on a tile/, { EXECUTION_PROVIDER: 'cpu' });
});

it('says when a folder is named for one model and its manifest for another', async () => {
  await editManifest((manifest) => (manifest['name'] = 'dhnet'));
  await expectSetupFailure(/^model dhnet-edge: its manifest names dhnet$/);
});

it('says when there is no model at all', async () => {
  await expectSetupFailure(/MODEL_DIR cannot be read/, { MODEL_DIR: path.join(dir, 'nothing') });
});

it('never runs on another execution provider than cuda when it is asked for cuda', async () => {
  const root = path.dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  const library = path.join(root, 'bin/napi-v6', process.platform, process.arch, 'libonnxruntime_providers_cuda.so');
  if (!existsSync(library)) return expectSetupFailure(/CUDA/, { EXECUTION_PROVIDER: 'cuda' });
  server = await startServer({ EXECUTION_PROVIDER: 'cuda' });
  const { status, setup } = await server.health();
  if (status === 'READY') expect(setup.execution_provider).toMatchObject({ requested: 'cuda', used: 'cuda' });
  else expect(status).toBe('SETUP_FAILED');
});

it('never runs on another execution provider than tensorrt when it is asked for tensorrt', async () => {
  const root = path.dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  const folder = path.join(root, 'bin/napi-v6', process.platform, process.arch);
  if (!existsSync(path.join(folder, 'libonnxruntime_providers_tensorrt.so'))) {
    return expectSetupFailure(/TensorRT/, { EXECUTION_PROVIDER: 'tensorrt' });
  }
  server = await startServer({ EXECUTION_PROVIDER: 'tensorrt' });
  const { status, setup } = await server.health();
  if (status === 'READY') expect(setup.execution_provider).toMatchObject({ requested: 'tensorrt', used: 'tensorrt' });
  else expect(status).toBe('SETUP_FAILED');
});

it('does not look for CUDA when it is asked for the CPU', async () => {
  server = await startServer({ EXECUTION_PROVIDER: 'cpu' });
  const { status, setup } = await server.health();
  expect(status).toBe('READY');
  expect(setup.execution_provider).toEqual({
    requested: 'cpu',
    used: 'cpu',
    reason: 'EXECUTION_PROVIDER says so',
  });
});

it('does not start with a variable that it cannot read, and names it', async () => {
  await expect(startServer({ SLOTS: 'many' })).rejects.toThrow(/ended with 1: .*SLOTS: must be a whole number/);
});

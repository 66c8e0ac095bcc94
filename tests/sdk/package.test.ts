/** The package as npm would publish it, in an empty folder: what is in it, its types, and its command without a service. */
import { spawnSync } from 'node:child_process';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { root } from '../../scripts/lib/service.ts';
import { codeBlocks, GUIDES } from '../support/code-blocks.ts';
import { decodeRgb, fixture, psnr } from '../support/images.ts';
import { addPackages, installPackedSdk, type PackedSdk } from '../support/packed-sdk.ts';

let sdk: PackedSdk;

beforeAll(async () => {
  sdk = await installPackedSdk();
});

afterAll(() => rm(sdk.folder, { recursive: true }));

interface Ended {
  readonly code: number | null;
  readonly lines: readonly string[];
  readonly complaints: readonly string[];
}

/** The command in `work/`, with no service in its environment. */
function run(...args: readonly string[]): Ended {
  const env = { ...process.env, DEBLUR_URL: undefined };
  const cwd = path.join(sdk.folder, 'work');
  const { status, stdout, stderr } = spawnSync(process.execPath, [sdk.command, ...args], {
    cwd,
    env,
    encoding: 'utf8',
  });
  const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');
  return { code: status, lines: linesOf(stdout), complaints: linesOf(stderr) };
}

const inWork = (name: string): string => path.join(sdk.folder, 'work', name);

beforeEach(async () => {
  await rm(inWork(''), { recursive: true, force: true });
  await mkdir(inWork(''), { recursive: true });
});

it('holds JavaScript, types, the model and licences, and installs nothing else', async () => {
  const kinds = new Set(sdk.files.map((file) => file.replace(/[^/]+?((\.d)?\.\w+)$/, '*$1')));
  expect([...kinds].sort()).toEqual([
    '*.json',
    '*.md',
    'dist/js/*.js',
    'dist/js/*.md',
    'dist/js/models/dhnet-edge/*.json',
    'dist/js/models/dhnet-edge/*.onnx',
    'dist/types/client/*.d.ts',
    'dist/types/local/*.d.ts',
    'dist/types/webhooks/*.d.ts',
  ]);
  const installed = await readdir(path.join(sdk.folder, 'node_modules'));
  expect(installed.filter((name) => !name.startsWith('.'))).toEqual(['deblur']);
});

it('strict programs compile against the types of every entry, those of the guide among them', async () => {
  await addPackages(sdk, 'standardwebhooks');
  const program = `
    import { deblur, Deblur, DeblurError, type Prediction } from 'deblur';
    import { deblurLocally } from 'deblur/local';
    import { verifyWebhook } from 'deblur/webhooks';
    const client = new Deblur({ server: 'https://deblur.example.com' });
    export async function restored(file: Blob): Promise<Uint8Array> {
      for await (const { event, prediction } of client.predictions.events('id')) {
        const status: Prediction['status'] = prediction.status;
        console.log(event, status, prediction.metrics.placement?.toUpperCase());
      }
      const { id } = await client.files.upload(file);
      const { bytes, metrics } = await deblur(id, { workingScale: 'auto', format: 'webp' });
      // @ts-expect-error: a misspelt option
      await deblur(file, { qualtiy: 80 });
      console.log(metrics.predict_time?.toFixed(1));
      return bytes;
    }
    export const locally = (bytes: Uint8Array) => deblurLocally(bytes, { quality: 80 });
    export const code = (error: unknown) => error instanceof DeblurError && error.code === 'image_truncated';
    export const verified = (body: string, headers: Headers) => verifyWebhook(body, headers, 'whsec_x').event.status;
  `;
  const guides = GUIDES.flatMap(codeBlocks).filter(({ language, file }) => language === 'ts' && file !== '');
  const programs = [program, ...guides.map(({ code }) => code)].map((code, i) => ({ code, name: `program-${i}.ts` }));
  for (const { code, name } of programs) await writeFile(inWork(name), code);
  const lib = ['--target', 'es2022', '--lib', 'es2022,dom,dom.iterable', '--skipLibCheck'];
  const node = ['--types', 'node', '--typeRoots', path.join(root, 'node_modules/@types')];
  const args = ['--strict', '--noEmit', ...lib, ...node, '--module', 'nodenext', ...programs.map(({ name }) => name)];
  const tsc = path.join(root, 'node_modules/.bin/tsc');
  expect(spawnSync(tsc, args, { cwd: inWork(''), encoding: 'utf8' }).stdout).toBe('');
});

describe('the command', () => {
  it.each([
    [['--local', '--quality', '0', 'a.jpg'], '--quality must be a whole number from 1 to 100, not "0"'],
    [['--local', '--format', 'gif', 'a.jpg'], '--format must be jpeg, png, webp, avif, not "gif"'],
    [['--local', '--server', 'http://x', 'a.jpg'], '--local and --server exclude each other'],
    [['--server', 'x', 'a.jpg'], 'server must be an http or https address, not "x"'],
    [['a.jpg'], 'give --server URL, set DEBLUR_URL, or use --local'],
    [['--nothing'], /Unknown option '--nothing'/],
    [[], 'there is no picture to restore'],
  ])('%j is a wrong argument: exit code 2 and one line', (args, message) => {
    const { code, lines, complaints } = run(...args);
    expect({ code, lines }).toEqual({ code: 2, lines: [] });
    expect(complaints[0]).toMatch(message);
    expect(complaints).toHaveLength(1);
  });

  it('tells its version and its options', async () => {
    const { version } = JSON.parse(await readFile(path.join(root, 'sdk/package.json'), 'utf8')) as { version: string };
    expect(run('--version').lines).toEqual([version]);
    expect(run('--help').lines.join('\n')).toContain('--out FOLDER');
  });

  it('says which packages --local needs while they are missing', () => {
    expect(run('--local', 'a.jpg')).toMatchObject({
      code: 2,
      complaints: ['deblur: --local needs two more packages: npm install onnxruntime-node sharp'],
    });
  });
});

describe('the command with --local', () => {
  beforeAll(() => addPackages(sdk, 'onnxruntime-node', 'sharp'));

  it('restores a photograph of the street towards its sharp twin, and keeps its metadata', async () => {
    const crop = { left: 320, top: 160, width: 224, height: 192 };
    const blurred = sharp(await fixture('reds/blur.png')).extract(crop);
    await blurred.withExif({ IFD0: { Artist: 'somebody' } }).toFile(inWork('street.png'));
    const { code, lines } = run('--local', 'street.png');
    expect(code).toBe(0);
    expect(lines).toEqual([
      expect.stringMatching(/^street\.png → street\.deblurred\.png \(0\.04 MP, [\d.]+ s, local\)$/),
    ]);
    const restored = await readFile(inWork('street.deblurred.png'));
    const truth = await decodeRgb(
      await sharp(await fixture('reds/sharp.png'))
        .extract(crop)
        .png()
        .toBuffer(),
    );
    const before = psnr(await decodeRgb(await readFile(inWork('street.png'))), truth);
    expect(psnr(await decodeRgb(restored), truth)).toBeGreaterThan(before + 1);
    expect((await sharp(restored).metadata()).exif?.toString('latin1')).toContain('somebody');
  });

  it('takes files, folders and globs; what fails has one line, and the exit code is 1', async () => {
    await mkdir(inWork('album/deep'), { recursive: true });
    const files = {
      'a.jpg': 'size-61x47.jpg',
      'album/b.webp': 'size-61x47.webp',
      'album/deep/c.png': 'sixteen-bit.png',
    };
    for (const [name, source] of Object.entries(files)) {
      await cp(path.join(root, 'tests/fixtures/fidelity', source), inWork(name));
    }
    await writeFile(inWork('album/notes.txt'), 'no picture');
    await cp(path.join(root, 'tests/fixtures/fidelity/animated.webp'), inWork('d.webp'));
    await cp(path.join(root, 'tests/fixtures/fidelity/photo.heic'), inWork('e.heic'));
    const words = ['*.jpg', 'album', 'd.webp', 'e.heic', 'missing.jpg'];
    const { code, lines, complaints } = run('--local', ...words, '--out', 'sharp');
    expect(code).toBe(1);
    expect(lines.map((line) => line.split(' (')[0]).sort()).toEqual([
      'a.jpg → sharp/a.jpg',
      'album/b.webp → sharp/b.webp',
      'album/deep/c.png → sharp/deep/c.png',
    ]);
    expect([...complaints].sort()).toEqual([
      '3 restored, 0 skipped, 3 failed',
      expect.stringMatching(/^d\.webp: image_animated: /),
      expect.stringMatching(/^e\.heic: unsupported_media_type: HEIC photos /),
      'missing.jpg: no such file',
    ]);
    expect(await sharp(inWork('sharp/deep/c.png')).metadata()).toMatchObject({ depth: 'ushort' });
  });

  it('skips what is finished and nothing else', async () => {
    const picture = await fixture('fidelity/size-61x47.jpg');
    for (const name of ['same', 'changed', 'damaged']) await writeFile(inWork(`${name}.jpg`), picture);
    const args = ['--local', '--out', 'sharp', 'same.jpg', 'changed.jpg', 'damaged.jpg', 'other.jpg'];
    await writeFile(inWork('other.jpg'), picture);
    await mkdir(inWork('sharp'));
    await writeFile(inWork('sharp/other.jpg'), 'mine');
    const refusal = /^other\.jpg: sharp\/other\.jpg exists and was not written by this command/;
    expect(run(...args)).toMatchObject({
      code: 1,
      complaints: [expect.stringMatching(refusal), '3 restored, 0 skipped, 1 failed'],
    });
    expect(await readFile(inWork('sharp/other.jpg'), 'utf8')).toBe('mine');

    await writeFile(inWork('changed.jpg'), await sharp(picture).flip().jpeg().toBuffer());
    await writeFile(inWork('sharp/damaged.jpg'), 'cut');
    const { lines, complaints } = run(...args);
    expect(lines).toEqual([expect.stringMatching(/^changed\.jpg → /)]);
    expect(complaints.at(-1)).toBe('1 restored, 1 skipped, 2 failed');

    expect(run(...args, '--force')).toMatchObject({ code: 0, complaints: ['4 restored, 0 skipped, 0 failed'] });
    expect(run(...args)).toMatchObject({ code: 0, complaints: ['0 restored, 4 skipped, 0 failed'] });
    expect(run(...args, '--quality', '50')).toMatchObject({ complaints: ['4 restored, 0 skipped, 0 failed'] });
  });

  it('refuses to write two results into one file, or a result over its picture', async () => {
    await mkdir(inWork('x'));
    for (const name of ['a.jpg', 'x/a.jpg']) await writeFile(inWork(name), await fixture('fidelity/size-61x47.jpg'));
    expect(run('--local', 'a.jpg', 'x/a.jpg', '--out', 'o')).toMatchObject({
      code: 2,
      complaints: ['deblur: a.jpg and x/a.jpg would both be written to o/a.jpg'],
    });
    expect(run('--local', 'a.jpg', '--out', '.', '--force')).toMatchObject({
      code: 1,
      complaints: ['a.jpg: its result would overwrite it; give another --out', '0 restored, 0 skipped, 1 failed'],
    });
  });
});

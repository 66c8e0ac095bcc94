// Makes a fresh clone ready: Node packages from the lockfile; with --python model-export's environment, with --packaging
// the validators that tests/packaging runs, with --examples what the examples in Python import, with --clients the generators
// of clients and with --fuzz the fuzzer of tests/e2e.
// It has no dependencies and runs on any Node from 20, because it runs before anything is installed.
// What is up to date is left alone: the second run takes milliseconds. It speaks on stderr only.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import path from 'node:path';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const say = (line) => process.stderr.write(`setup: ${line}\n`);

function fail(line) {
  say(line);
  process.exit(1);
}

function fingerprint(...files) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(path.join(root, file)));
  return hash.digest('hex');
}

function isCurrent(stamp, print) {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === print;
}

function run(command, args, env = {}) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    env: { ...process.env, ...env },
    // Their progress is ours to tell: stdout stays free for the command that was asked for.
    stdio: ['ignore', 2, 2],
  });
  if (error) fail(`${command}: ${error.message}`);
  return status === 0;
}

function installNodePackages() {
  const stamp = path.join(root, 'node_modules/.deblur-setup');
  const print = fingerprint('package-lock.json');
  if (isCurrent(stamp, print)) return;
  say('installing Node packages from the lockfile (about 1 GB, once) …');
  // onnxruntime-node would download CUDA libraries here; only the GPU container wants them.
  const env = { ONNXRUNTIME_NODE_INSTALL: 'skip' };
  const npm = process.env.npm_execpath;
  // Not `npm ci`: newer versions of it refuse a lockfile without the optional packages of every foreign platform.
  // `install` takes the locked versions just the same, and --no-save leaves the lockfile as it is.
  const install = ['install', '--no-save'];
  const done = npm?.endsWith('.js') ? run(process.execPath, [npm, ...install], env) : run('npm', install, env);
  if (!done) fail('npm install failed; its messages are above');
  checkNode();
  writeFileSync(stamp, print);
}

/** Scripts run on the Node that the packages bring (node_modules/.bin is first on their PATH), whatever is installed. */
function checkNode() {
  const { stdout } = spawnSync(path.join(root, 'node_modules/.bin/node'), ['--version'], { encoding: 'utf8' });
  if (!stdout?.startsWith('v22.')) {
    fail('the package "node" did not install Node 22: are install scripts switched off (npm config ignore-scripts)?');
  }
}

/** A folder with a lockfile of its own, for what cannot live beside the workspaces. */
function installNodeFolder(folder, what) {
  const stamp = path.join(root, folder, 'node_modules/.deblur-setup');
  const print = fingerprint(path.join(folder, 'package-lock.json'));
  if (isCurrent(stamp, print)) return;
  say(`installing ${what} …`);
  const args = ['install', '--no-save', '--ignore-scripts', '--prefix', folder];
  if (!run('npm', args)) fail('npm install failed; its messages are above');
  writeFileSync(stamp, print);
}

function findPython() {
  const names = [process.env.PYTHON, 'python3.13', 'python3.12', 'python3.11', 'python3', 'python'];
  for (const name of names.filter(Boolean)) {
    const check = 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))';
    if (spawnSync(name, ['-c', check]).status === 0) return name;
  }
  return fail('Python 3.11 to 3.13 with venv is needed (Debian: apt-get install python3-venv)');
}

function installPythonEnvironment(folder, what) {
  const requirements = path.join(folder, 'requirements.txt');
  const venv = path.join(root, folder, '.venv');
  const stamp = path.join(venv, '.deblur-setup');
  const print = fingerprint(requirements);
  if (isCurrent(stamp, print)) return;
  const python = path.join(venv, 'bin/python');
  say(`installing ${what} …`);
  if (!existsSync(python)) {
    rmSync(venv, { recursive: true, force: true });
    if (!run(findPython(), ['-m', 'venv', venv])) fail('could not make a virtual environment');
  }
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
  if (!run(python, [...pip, '-r', requirements])) fail('pip install failed; its messages are above');
  writeFileSync(stamp, print);
}

installNodePackages();
if (process.argv.includes('--python')) {
  installPythonEnvironment('model-export', 'model-export’s Python environment (PyTorch and ONNX Runtime, once)');
}
if (process.argv.includes('--packaging')) {
  installPythonEnvironment('tests/packaging', 'the validators of container files (once)');
}
if (process.argv.includes('--examples')) {
  installPythonEnvironment('examples', 'the HTTP clients of the examples in Python (once)');
}
if (process.argv.includes('--clients')) {
  installNodeFolder('tests/e2e/clients', 'the generator of clients in TypeScript (once)');
  installPythonEnvironment('tests/e2e/clients', 'the generator of clients in Python (once)');
}
if (process.argv.includes('--fuzz')) {
  installPythonEnvironment('tests/e2e/fuzz', 'the fuzzer of the HTTP surface (once)');
}

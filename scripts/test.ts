// npm test: everything, in the order in which failures are cheapest. Every step runs, whatever failed before it.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build } from './lib/build.ts';
import { root } from './lib/service.ts';

const scratch = mkdtempSync(path.join(tmpdir(), 'deblur-test-'));
const vitestReport = path.join(scratch, 'vitest.json');
const pytestReport = path.join(scratch, 'pytest.xml');
const python = path.join(root, 'model-export/.venv/bin/python');

interface Step {
  readonly title: string;
  readonly ok: boolean;
}

interface Counts {
  readonly passed: number;
  readonly failed: number;
}

function run(title: string, command: string, args: readonly string[]): Step {
  process.stderr.write(`\n── ${title}\n`);
  const { status } = spawnSync(
    path.isAbsolute(command) ? command : path.join(root, 'node_modules/.bin', command),
    args,
    {
      cwd: root,
      stdio: 'inherit',
    },
  );
  return { title, ok: status === 0 };
}

function readVitest(): Counts {
  const { numPassedTests: passed, numFailedTests: failed } = JSON.parse(readFileSync(vitestReport, 'utf8')) as {
    numPassedTests: number;
    numFailedTests: number;
  };
  return { passed, failed };
}

function readPytest(): Counts {
  const suite = readFileSync(pytestReport, 'utf8').match(/<testsuite [^>]*>/)?.[0] ?? '';
  const count = (name: string): number => Number(suite.match(new RegExp(`${name}="(\\d+)"`))?.[1] ?? 0);
  const failed = count('failures') + count('errors');
  return { passed: count('tests') - failed - count('skipped'), failed };
}

const steps: Step[] = [];
try {
  build();
  steps.push(run('types', 'tsc', ['--build']));
  steps.push(run('lint', 'eslint', ['.']));
  steps.push(run('format', 'prettier', ['--check', '--log-level', 'warn', '.']));
  steps.push(
    run('vitest', 'vitest', ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${vitestReport}`]),
  );
  steps.push(
    run('ruff', python, [
      '-m',
      'ruff',
      'check',
      '--config',
      'model-export/pyproject.toml',
      'model-export',
      'tests/model-export',
      'examples',
      'sdk/python',
    ]),
  );
  steps.push(run('pytest', python, ['-m', 'pytest', '-q', `--junitxml=${pytestReport}`, 'tests/model-export']));
  const counts = [readVitest(), readPytest()];
  const failedSteps = steps.filter(({ ok }) => !ok);
  for (const { title } of failedSteps) process.stderr.write(`failed: ${title}\n`);
  const passed = counts.reduce((sum, count) => sum + count.passed, 0);
  const failedTests = counts.reduce((sum, count) => sum + count.failed, 0);
  console.log(`${passed} passed, ${failedTests} failed`);
  process.exitCode = failedSteps.length > 0 ? 1 : 0;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

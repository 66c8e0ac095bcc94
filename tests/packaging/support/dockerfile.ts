/** A Dockerfile's stages, and a target's COPY and RUN steps replayed into folders: a build without containers. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import dockerignore from '@balena/dockerignore';
import { DockerfileParser, type Copy, type Instruction } from 'dockerfile-ast';
import { root } from '../../../scripts/lib/service.ts';
import { read } from './tools.ts';

export interface Stage {
  readonly name: string;
  /** The stage or image that it starts from; build arguments are not filled in. */
  readonly from: string;
  readonly steps: readonly Instruction[];
}

/** @throws {Error} when a stage has no name: nothing could refer to it */
export function stagesOf(dockerfile: string): Stage[] {
  const stages: { name: string; from: string; steps: Instruction[] }[] = [];
  for (const from of DockerfileParser.parse(dockerfile).getFROMs()) {
    const name = from.getBuildStage();
    if (name === null) throw new Error(`stage without a name: ${from.getTextContent()}`);
    stages.push({ name, from: from.getImage() ?? '', steps: [] });
  }
  let current = -1;
  for (const instruction of DockerfileParser.parse(dockerfile).getInstructions()) {
    if (instruction.getKeyword() === 'FROM') current++;
    else stages[current]?.steps.push(instruction);
  }
  return stages;
}

export interface Replayed {
  /** Stands for `/` of the image. */
  readonly directory: string;
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Files that git knows and .dockerignore lets through, by their path from the root: what `docker build` is sent. */
export function buildContext(): string[] {
  const { stdout } = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  const tracked = stdout.split('\0').filter((file) => file !== '' && existsSync(path.join(root, file)));
  return dockerignore().add(read('.dockerignore')).filter(tracked);
}

/** Replays a target and the stages that it is made of. Images are empty folders: what a step needs of them is this machine's. */
export function replay(stages: readonly Stage[], target: string, into: string): Replayed {
  const done = new Map<string, Replayed>();
  const build = (name: string): Replayed => {
    const known = done.get(name);
    if (known !== undefined) return known;
    const stage = stages.find((candidate) => candidate.name === name);
    if (stage === undefined) throw new Error(`no stage ${name}`);
    const directory = path.join(into, name);
    mkdirSync(directory, { recursive: true });
    const isStage = stages.some((candidate) => candidate.name === stage.from);
    let state: Replayed = { directory, workdir: '/', env: {} };
    if (isStage) {
      const base = build(stage.from);
      cpSync(base.directory, directory, { recursive: true, verbatimSymlinks: true });
      state = { ...base, directory };
    }
    for (const step of stage.steps) state = apply(step, state, build);
    done.set(name, state);
    return state;
  };
  return build(target);
}

function apply(step: Instruction, state: Replayed, build: (stage: string) => Replayed): Replayed {
  const text = step.getArgumentsContent() ?? '';
  switch (step.getKeyword()) {
    case 'WORKDIR':
      mkdirSync(path.join(state.directory, text), { recursive: true });
      return { ...state, workdir: text };
    case 'ENV':
      return { ...state, env: { ...state.env, ...Object.fromEntries(text.split(/[\s\\]+/).map(assignment)) } };
    case 'COPY':
      copy(step as Copy, state, build);
      return state;
    case 'RUN':
      runStep(text, state);
      return state;
    default:
      return state;
  }
}

function assignment(text: string): [string, string] {
  const at = text.indexOf('=');
  return [text.slice(0, at), text.slice(at + 1)];
}

function copy(step: Copy, state: Replayed, build: (stage: string) => Replayed): void {
  const words = step.getArguments().map((argument) => argument.getValue());
  const destination = path.join(state.directory, path.resolve(state.workdir, words.at(-1) ?? '.'));
  const stage = step.getFromFlag()?.getValue();
  const from = typeof stage === 'string' ? build(stage).directory : root;
  for (const source of words.slice(0, -1)) {
    const isFolder = statSync(path.join(from, source)).isDirectory();
    const into = isFolder || !words.at(-1)?.endsWith('/') ? destination : path.join(destination, path.basename(source));
    if (from !== root) cpSync(path.join(from, source), into, { recursive: true, verbatimSymlinks: true });
    else copyContext(source, isFolder, into);
  }
}

function copyContext(source: string, isFolder: boolean, into: string): void {
  const files = buildContext().filter((file) => file === source || file.startsWith(`${source}/`));
  if (files.length === 0) throw new Error(`COPY ${source}: not in git, or hidden by .dockerignore`);
  for (const file of files) {
    cpSync(path.join(root, file), isFolder ? path.join(into, path.relative(source, file)) : into);
  }
}

function runStep(command: string, { directory, workdir, env }: Replayed): void {
  const { status, stderr } = spawnSync('sh', ['-ec', command], {
    cwd: path.join(directory, workdir),
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  if (status !== 0) throw new Error(`RUN ${command}\n${stderr}`);
}

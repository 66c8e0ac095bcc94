/** WebAssembly text, piece by piece. Every function returns an expression or a statement. */

export const get = (name: string): string => `(local.get $${name})`;
export const set = (name: string, value: string): string => `(local.set $${name} ${value})`;
export const int = (value: number): string => `(i32.const ${value})`;
export const add = (a: string, b: string): string => `(i32.add ${a} ${b})`;
export const multiply = (a: string, b: string): string => `(i32.mul ${a} ${b})`;
export const advance = (name: string, by: string): string => set(name, add(get(name), by));

/** Base of a load or store at a constant address, which is then its offset. */
export const ORIGIN = int(0);

export const load = (base: string, offset = 0): string => `(v128.load offset=${offset} ${base})`;
export const loadSplat = (base: string, offset = 0): string => `(v128.load32_splat offset=${offset} ${base})`;
export const loadInt = (base: string, offset = 0): string => `(i32.load offset=${offset} ${base})`;
export const loadByte = (base: string, offset = 0): string => `(i32.load8_u offset=${offset} ${base})`;
export const store = (base: string, offset: number, value: string): string =>
  `(v128.store offset=${offset} ${base} ${value})`;

/** Operations on vectors of four float32. */
export const f32x4 = (operation: string, ...operands: readonly string[]): string =>
  `(f32x4.${operation} ${operands.join(' ')})`;
export const ZERO = '(v128.const i32x4 0 0 0 0)';

/** Bytes of a vector, which holds four channels of one pixel. */
export const VECTOR = 16;

/** Four of the eight lanes of two vectors. */
export function pick(a: string, b: string, lanes: readonly number[]): string {
  const bytes = lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => lane * 4 + byte));
  return `(i8x16.shuffle ${bytes.join(' ')} ${a} ${b})`;
}

export function repeat(count: number, write: (i: number) => string): string {
  return Array.from({ length: count }, (_, i) => write(i)).join('\n');
}

/** Runs `body` once for every `step` that the local `counter` holds, at least once; the counter ends at or below zero. */
export function countDown(counter: string, step: number, body: readonly string[]): string {
  const left = `(local.tee $${counter} (i32.sub ${get(counter)} ${int(step)}))`;
  return `(loop $${counter} ${body.join('\n')} (br_if $${counter} (i32.gt_s ${left} ${int(0)})))`;
}

export interface Locals {
  readonly i32?: readonly string[];
  readonly v128?: readonly string[];
}

/** An exported function without results. `parameters` are i32 unless they say another type, as in "weight f32". */
export function func(name: string, parameters: readonly string[], locals: Locals, body: readonly string[]): string {
  const declared = parameters.map((parameter) => {
    const [id, type = 'i32'] = parameter.split(' ');
    return `(param $${id} ${type})`;
  });
  const own = (['i32', 'v128'] as const).flatMap((type) => (locals[type] ?? []).map((id) => `(local $${id} ${type})`));
  return `(func $${name} (export "${name}") ${declared.join(' ')} ${own.join(' ')}\n${body.join('\n')})`;
}

export const names = (stem: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${stem}${i}`);

/** a·b + c: fused where the module uses relaxed SIMD. */
export type MultiplyAdd = (a: string, b: string, c: string) => string;

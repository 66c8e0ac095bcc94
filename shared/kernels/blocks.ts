/** The two kinds of blocks that DHNet is made of, for a whole map, row by row: model-export/dhnet/vblock.py and ddre.py. */
import { rowOf, statisticsOutput, type Calls } from './calls.ts';
import { ONE_PIXEL, ringRow, VECTOR_BYTES, type Level, type Plan } from './plan.ts';
import type { Block, RoutedBlock, VolterraBlock } from './weights.ts';

export function runBlocks(calls: Calls, plan: Plan, level: Level, blocks: readonly Block[]): void {
  for (const block of blocks) {
    if (block.kind === 'volterra') volterraBlock(calls, plan, level, block);
    else routedBlock(calls, plan, level, block);
  }
}

/** x + β ⊙ PW(F ⊙ PW'(mean F)) with F = Volterra(DW3(PW(LN(x)))). */
function volterraBlock(calls: Calls, { statistics }: Plan, level: Level, block: VolterraBlock): void {
  const { grid, x, filtered, table } = level;
  const { mean, factors } = statistics;
  // Each filter is a row behind what it reads.
  for (let y = -2; y < grid.height; y++) {
    if (y + 2 < grid.height) expand(calls, level, block, y + 2);
    if (y + 1 >= 0 && y + 1 < grid.height) filterLocally(calls, level, block, y + 1);
    if (y >= 0) filterVolterra(calls, level, block, y);
  }
  calls.mean(statistics, filtered, level);
  const means = { table: statistics.table, source: mean };
  calls.product('plain', block.attention, means, statisticsOutput(factors), ONE_PIXEL);
  for (let y = 0; y < grid.height; y++) {
    const input = { table, source: rowOf(filtered, y), scale: factors };
    calls.product('scaled', block.project, input, { target: rowOf(x, y), plane: x.plane, keep: true }, grid);
  }
}

function expand(calls: Calls, level: Level, block: VolterraBlock, y: number): void {
  const { grid, channels, x, row, expanded, table } = level;
  const share = 1 / channels;
  calls.kernels.normalize(rowOf(x, y), x.plane, row.address, row.plane, x.blocks, grid.width, share);
  calls.productIntoRing(block.expand, { table, source: row.address }, expanded, y, grid);
}

function filterLocally(calls: Calls, { grid, expanded, local }: Level, block: VolterraBlock, y: number): void {
  calls.kernels.depthwise(
    ringRow(expanded, y - 1),
    ringRow(expanded, y),
    ringRow(expanded, y + 1),
    expanded.plane,
    block.local,
    ringRow(local, y) + VECTOR_BYTES,
    local.plane,
    local.blocks,
    grid.width,
  );
  calls.clearBorder(local, y, grid);
}

function filterVolterra(calls: Calls, { grid, local, filtered }: Level, block: VolterraBlock, y: number): void {
  calls.kernels.volterra(
    ringRow(local, y - 1),
    ringRow(local, y),
    ringRow(local, y + 1),
    local.plane,
    filtered.blocks * local.plane,
    block.filters,
    rowOf(filtered, y),
    filtered.plane,
    filtered.blocks,
    grid.width,
  );
}

/** Input rows of a 9×9 filter for two output rows. */
const ROUTED_ROWS = 10;
const ROUTED_REACH = 4;

/** x + γ ⊙ PW(Σⱼ aⱼ · DWⱼ(z)) with z = PW(x) and a = softmax(R(mean z)); the experts are mixed into one filter. */
function routedBlock(calls: Calls, plan: Plan, level: Level, block: RoutedBlock): void {
  const { grid, x, fused, pair, table } = level;
  mixExperts(calls, plan, level, block);
  let done = 0;
  for (let y = 0; y < grid.height; y += 2) {
    for (; done < Math.min(y + 2 + ROUTED_REACH, grid.height); done++) {
      calls.productIntoRing(block.fuse, { table, source: rowOf(x, done) }, fused, done, grid);
    }
    const inputs = new Int32Array(calls.memory.buffer, plan.rows, ROUTED_ROWS);
    for (let i = 0; i < ROUTED_ROWS; i++) inputs[i] = ringRow(fused, y - ROUTED_REACH + i);
    const [first, second] = [rowOf(pair, 0), rowOf(pair, 1)];
    calls.kernels.routed(plan.rows, fused.plane, plan.mixed, first, second, pair.plane, pair.blocks, grid.width);
    for (const [i, source] of [first, second].entries()) {
      const output = { target: rowOf(x, y + i), plane: x.plane, keep: true };
      calls.product('plain', block.pointwise, { table, source }, output, grid);
    }
  }
}

function mixExperts(calls: Calls, { statistics, mixed }: Plan, level: Level, block: RoutedBlock): void {
  const { table, mean, factors } = statistics;
  calls.mean(statistics, level.x, level);
  // The mean of z is the product of the mean of x.
  calls.product('plain', block.fuse, { table, source: mean }, statisticsOutput(factors), ONE_PIXEL);
  calls.product('plain', block.router, { table, source: factors }, statisticsOutput(mean), ONE_PIXEL);
  const shares = softmax(routerLogits(calls, mean));
  const bytes = block.expertVectors * VECTOR_BYTES;
  calls.kernels.mix(block.experts, bytes, mixed, block.expertVectors, ...shares);
}

/** Four experts are the lanes of the first vector, the fifth is the first lane of the second. */
function routerLogits(calls: Calls, address: number): number[] {
  const second = ONE_PIXEL.room * 4;
  const values = new Float32Array(calls.memory.buffer, address, second + 1);
  return [0, 1, 2, 3, second].map((at) => values[at]!);
}

function softmax(logits: readonly number[]): number[] {
  const largest = Math.max(...logits);
  const exponentials = logits.map((value) => Math.exp(value - largest));
  const total = exponentials.reduce((sum, value) => sum + value);
  return exponentials.map((value) => value / total);
}

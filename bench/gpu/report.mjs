/** The tables of a run. */
import Table from 'cli-table3';
import {judge} from './judge.mjs';

const percent = (share) => (Number.isFinite(share) ? `${(100 * share).toPrecision(3)} %` : '');
const short = (value) => {
  if (typeof value !== 'number') return value ?? '';
  return Number.isInteger(value) ? `${value}` : value.toPrecision(3);
};

/** What tables show of each part; a column is [head, how a row fills it]. */
const columns = {
  kernels: [
    ['network', (row) => row.network],
    ['layer', (row) => row.layer],
    ['x', (row) => row.count],
    ['B', (row) => row.B],
    ['L', (row) => row.L],
    ['precision', (row) => row.precision],
    ['ms', (row) => row.ms],
    ['TFLOP/s', (row) => row.tflops],
    ['of fp32', (row) => percent(row.fp32Share)],
    ['GB/s', (row) => row.gbs],
    ['of copy', (row) => percent(row.copyShare)],
    ['plan', (row) => row.note ?? row.plan],
  ],
  steps: [
    ['network', (row) => row.network],
    ['rule', (row) => row.rule],
    ['way', (row) => row.way],
    ['dispatches', (row) => row.dispatches],
    ['parameters', (row) => row.parameters],
    ['ms', (row) => row.ms ?? row.note],
    ['GB/s', (row) => row.gbs],
    ['of copy', (row) => percent(row.copyShare)],
  ],
  passes: [
    ['network', (row) => row.network],
    ['B', (row) => row.B],
    ['training step, ms', (row) => row.step],
    ['consolidation, ms', (row) => row.consolidation],
    ['ratio', (row) => row.ratio],
    ['fallbacks', (row) => row.fallbacks],
  ],
  gradients: [
    ['network', (row) => row.network],
    ['layer', (row) => row.layer],
    ['x', (row) => row.count],
    ['B', (row) => row.B],
    ["Engram's, ms", (row) => row.ours],
    ["tfjs', ms", (row) => row.theirs],
    ['ratio', (row) => row.ratio],
  ],
};

const peerColumns = {
  layers: [
    ['network', (row) => row.network],
    ['layer', (row) => row.layer],
    ['x', (row) => row.count],
    ['B', (row) => row.B],
    ['TF32', (row) => (row.tf32 ? 'on' : 'off')],
    ['expert, ms', (row) => row.ms],
    ['note', (row) => row.note],
  ],
  passes: [
    ['network', (row) => row.network],
    ['way', (row) => row.way],
    ['B', (row) => row.B],
    ['TF32', (row) => (row.tf32 ? 'on' : 'off')],
    ['ms', (row) => row.ms],
    ['note', (row) => row.note],
  ],
  steps: [
    ['network', (row) => row.network],
    ['rule', (row) => row.rule],
    ['parameters', (row) => row.parameters],
    ['ms', (row) => row.ms],
    ['note', (row) => row.note],
  ],
};

function print(title, list, rows) {
  const table = new Table({
    head: list.map(([head]) => head),
    style: {head: [], border: []},
    chars: {mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': ''}, // a line for each row, none between them
  });
  for (const row of rows) table.push(list.map(([, fill]) => short(fill(row))));
  console.log(`\n${title}\n${table}`);
}

/** Prints one part of the results. */
export function printPart(name, part) {
  if (name === 'ceilings' && part.copy) {
    const {copy, fp32} = part;
    console.log(`\nceilings: copy ${short(copy.gbs)} GB/s, fp32 ${short(fp32.tflops)} TFLOP/s (${copy.clock})`);
  }
  if (name === 'peers') printPeers(part);
  else if (columns[name] && part.rows?.length > 0) print(name, columns[name], part.rows);
  for (const note of part.notes ?? []) console.log(note);
  if (part.error) console.log(`${name} failed: ${part.error}`);
}

function printPeers(peers) {
  if (peers.missing) console.log(`\npeers are left out: ${peers.missing}`);
  else if (!peers.error) console.log(`\nPyTorch ${peers.torch} on ${peers.name ?? peers.device}`);
  for (const [name, list] of Object.entries(peerColumns)) {
    if (peers[name]) print(`PyTorch: ${name}`, list, peers[name]);
    else if (peers.errors?.[name]) console.log(`PyTorch: ${name}: ${peers.errors[name]}`);
  }
}

/** Prints the judged ratios, those of parts that did not run in one line, and returns all of them. */
export function printJudged(results) {
  const all = judge(results);
  const rows = all.filter(({why}) => !why.endsWith('did not run'));
  print(
    'judged',
    [
      ['ratio', (row) => row.what],
      ['limit', (row) => row.limit],
      ['value', (row) => row.value],
      ['', (row) => (row.why ? `${row.status}: ${row.why}` : row.status)],
    ],
    rows,
  );
  if (rows.length < all.length) console.log(`${all.length - rows.length} more need parts that did not run`);
  return all;
}

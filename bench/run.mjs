/** `engram bench [parts]`, all of them if none is named: prints one table a part and writes everything as JSON. */
import {mkdirSync, writeFileSync} from 'node:fs';
import {cpus} from 'node:os';
import {dirname} from 'node:path';
import Table from 'cli-table3';
import {backend} from './backend.mjs';
import {clientsBench} from './clients.mjs';
import {consolidation} from './consolidation.mjs';
import {kernels} from './kernels.mjs';
import {machine} from './measure.mjs';
import {methodCosts} from './methods.mjs';
import {overhead} from './overhead.mjs';
import {peak} from './peak.mjs';
import {peers} from './peers/run.mjs';
import {training} from './training.mjs';
import {vectorOutput} from './vector-output.mjs';

const parts = {
  peak,
  kernels,
  backend,
  consolidation,
  training,
  overhead,
  methods: methodCosts,
  'vector-output': vectorOutput,
  peers,
  clients: clientsBench,
};

/**
 * @param names parts to run; none means all
 * @param options {out: path of the JSON file, backend: tfjs backend of `consolidation`}
 */
export async function run(names = [], {out = 'out/bench.json', ...options} = {}) {
  const unknown = names.filter((name) => !(name in parts));
  if (unknown.length > 0)
    throw new Error(`no benchmark called ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}`);
  const results = {machine: machine()};
  console.log(
    Object.entries(results.machine)
      .map(([key, value]) => `${key} ${value}`)
      .join(' · '),
  );
  for (const name of names.length > 0 ? names : Object.keys(parts)) {
    results[name] = await parts[name](options);
    print(name, results[name]);
    const busiest = Math.max(0, ...results[name].map(({load = 0}) => load));
    // One process that keeps all cores busy, which is us, makes a load of as many as there are cores, and one more.
    if (busiest > cpus().length + 1)
      console.log(`load ${busiest} on ${cpus().length} cores: not figures to quote, the others are measured with them`);
  }
  mkdirSync(dirname(out), {recursive: true});
  writeFileSync(out, `${JSON.stringify(results, null, 2)}\n`);
  console.log(`written to ${out}`);
  return results;
}

function print(name, rows) {
  if (rows.length === 0) return;
  const columns = [...new Set(rows.flatMap(Object.keys))];
  const table = new Table({head: columns, style: {head: [], border: []}});
  for (const row of rows) {
    table.push(columns.map((column) => (typeof row[column] === 'number' ? round(row[column]) : (row[column] ?? ''))));
  }
  console.log(`\n${name}\n${table}`);
}

const round = (value) => (Number.isInteger(value) ? `${value}` : value.toPrecision(3));

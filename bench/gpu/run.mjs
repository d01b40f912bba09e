#!/usr/bin/env node
/** `npm run bench:gpu`: kernels, steps and whole passes on a GPU against its own ceilings, tfjs and PyTorch; tables and JSON. */
import './theirs.mjs'; // before engram/webgpu, which puts another gradient in the place of tfjs'
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {dirname} from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import {Command, Option} from 'commander';
import {requestAdapter, requestDevice} from '../../dist/backends/webgpu.js';
import {WebGpuEngine} from '../../dist/kernels/webgpu.js';
import {describeGpu} from './adapter.mjs';
import {measureCeilings} from './ceilings.mjs';
import {measureGradients} from './gradients.mjs';
import {measureKernels} from './kernels.mjs';
import {parts, wholeNumber} from './options.mjs';
import {measurePasses} from './passes.mjs';
import {measurePeers} from './peers.mjs';
import {printJudged, printPart} from './report.mjs';
import {measureSteps} from './steps.mjs';
import {GpuTimer} from './timing.mjs';

/** Held against the ceilings, which are therefore measured with them. */
const heldToCeilings = ['kernels', 'steps'];

const program = new Command('bench:gpu')
  .description(`measure on the GPU: ${parts.join(', ')}; all of them, or those named`)
  .argument('[parts...]', 'parts to run')
  .option('--quick', 'narrow networks, small images, B = 2: shows that everything runs, measures nothing')
  .option('--batch <n>', 'samples of a batch; default 256, and 2 with --quick', wholeNumber)
  .option('--autotune', 'measure tilings of every layer first; the JSON then holds them for useTuning()')
  .option('--out <file>', 'where the figures are written as JSON', 'out/bench-gpu.json')
  .option('--merge <files...>', 'runs nothing: joins the figures of earlier runs, prints and judges them')
  .option('--python <path>', 'the Python of the peers; default PYTHON, or python3')
  .addOption(
    new Option('--peers-device <name>', 'cpu tries the script of the peers where there is no GPU')
      .choices(['cuda', 'cpu'])
      .default('cuda'),
  )
  .parse();

const options = program.opts();
const wanted = program.args.length > 0 ? program.args : parts;
const unknown = wanted.filter((name) => !parts.includes(name));
if (unknown.length > 0) program.error(`no part called ${unknown.join(', ')}; there are ${parts.join(', ')}`);

const results = options.merge ? merged(options.merge) : await measure();
results.judged = printJudged(results);
mkdirSync(dirname(options.out), {recursive: true});
writeFileSync(options.out, `${JSON.stringify(results, null, 2)}\n`);
console.log(`\nwritten to ${options.out}`);
const failed = Object.entries(results).filter(([, part]) => part?.error || Object.keys(part?.errors ?? {}).length > 0);
for (const [name, {error, errors}] of failed)
  console.error(`${name} failed: ${error ?? Object.values(errors).join('; ')}`);
// Dawn's devices are open: without this the process would wait for them.
process.exit(failed.length > 0 ? 1 : 0);

/** Joins results of several processes; the parts of later files win. */
function merged(files) {
  const runs = files.map((file) => JSON.parse(readFileSync(file, 'utf8')));
  const told = new Set(runs.map((run) => JSON.stringify([run.options, run.gpu.description])));
  if (told.size > 1)
    program.error(`--merge joins runs of the same sizes on the same adapter: ${[...told].join(' and ')}`);
  const all = Object.assign({}, ...runs);
  for (const name of ['ceilings', ...parts]) if (all[name]) printPart(name, all[name]);
  return all;
}

async function measure() {
  const {quick = false, autotune = false, python, peersDevice} = options;
  const samples = options.batch ?? (quick ? 2 : 256);
  const adapter = await requestAdapter();
  const device = await requestDevice(adapter);
  const about = {
    date: new Date().toISOString(),
    node: process.version,
    gpu: describeGpu(adapter, device),
    options: {quick, samples, autotune},
  };
  const {vendor, architecture, description, driver} = about.gpu;
  console.log([vendor, architecture, description, driver ?? 'driver unknown', `Node ${process.version}`].join(' · '));
  const timer = new GpuTimer(device, quick ? {warmUp: 0, budget: 10, fewest: 2} : {});
  const gpu = {device, timer, engine: new WebGpuEngine(device, timer.stream)};
  const found = {...about};
  /** One part: when it fails, that is written down, its rows so far count, and the others run all the same. */
  const part = async (name, work) => {
    const start = performance.now();
    const rows = [];
    found[name] = {rows};
    try {
      Object.assign(found[name], await work(rows));
    } catch (error) {
      found[name].error = error.message;
    }
    found[name].seconds = (performance.now() - start) / 1000;
    printPart(name, found[name]);
  };
  const line = ({network, layer, rule, ms, ratio}) =>
    process.stderr.write(
      `· ${network} ${layer ?? rule ?? ''}: ${ms ? `${ms.toPrecision(3)} ms` : `ratio ${ratio.toPrecision(3)}`}\n`,
    );
  const common = {quick, samples, report: line};

  if (wanted.some((name) => heldToCeilings.includes(name))) {
    await part('ceilings', () => measureCeilings(device, timer, {quick}));
  }
  const ceilings = () => {
    if (found.ceilings.error) throw new Error(`there are no ceilings: ${found.ceilings.error}`);
    return found.ceilings;
  };
  const works = {
    kernels: (rows) => measureKernels(gpu, ceilings(), {...common, autotune, rows}),
    steps: (rows) => measureSteps(gpu, ceilings(), {...common, rows}),
    passes: (rows) => measurePasses({...common, rows}),
    gradients: (rows) => measureGradients({...common, rows}),
    peers: () => measurePeers({quick, samples, ...(python ? {python} : {}), device: peersDevice}),
  };
  for (const name of parts) {
    if (wanted.includes(name)) await part(name, works[name]);
    if (name === 'gradients') {
      // PyTorch needs the memory.
      device.destroy();
      tf.removeBackend('webgpu');
    }
  }
  return found;
}

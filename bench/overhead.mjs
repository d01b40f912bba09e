/**
 * Engram's own JavaScript on `webgpu` for a consolidated batch (recording, walk, checks, dispatch) and for a penalised
 * step (the optimizer). tfjs' operations are not in it. Measured on Dawn's null device, which takes all commands and computes nothing, so that only the host's work is
 * left; its readings are zeroed here, or what is left in memory would pass for NaN in the data.
 */
import {execFile} from 'node:child_process';
import {Session} from 'node:inspector/promises';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';

const warmUpRuns = 6;
const measuredRuns = 6;
const batches = 100;
const outside = ['(idle)', '(program)']; // nobody's code

/** @returns rows {network, of, what, milliseconds}; in a process of its own, for the device and the profiler */
export async function overhead() {
  const {stdout} = await promisify(execFile)(process.execPath, [fileURLToPath(import.meta.url)]);
  return JSON.parse(stdout);
}

async function measure() {
  await useNullDevice();
  const tf = await import('@tensorflow/tfjs-core');
  await import('../dist/backends/webgpu.js');
  const {MemoryAwareSynapses} = await import('../dist/index.js');
  const {networks, randomBatch} = await import('./networks.mjs');
  await tf.setBackend('webgpu');
  const spec = networks.cnn;
  const model = spec.model();
  const {x} = randomBatch(spec, spec.batch * batches);
  const consolidate = async () => {
    const mas = new MemoryAwareSynapses(model, {lambda: 1});
    await mas.consolidate(x, {batchSize: spec.batch});
    mas.dispose();
  };
  const held = new MemoryAwareSynapses(model, {lambda: 1});
  const batch = randomBatch(spec);
  await held.consolidate(batch.x);
  const optimizer = held.optimizer(tf.train.adam(1e-3));
  const loss = () => tf.losses.softmaxCrossEntropy(batch.y, model.apply(batch.x));
  const train = async () => {
    for (let i = 0; i < batches; i++) optimizer.minimize(loss);
    await model.getWeights()[0].data();
  };
  const rows = [];
  for (const [of, work] of Object.entries({'consolidated batch': consolidate, 'penalised Adam step': train})) {
    for (let run = 0; run < warmUpRuns; run++) await work();
    const profile = await profiled(async () => {
      for (let run = 0; run < measuredRuns; run++) await work();
    });
    for (const [what, total] of Object.entries(byOwner(profile))) {
      rows.push({network: spec.title, of, what, milliseconds: total / (measuredRuns * batches)});
    }
  }
  return rows;
}

async function useNullDevice() {
  const {create, globals} = await import('webgpu');
  Object.assign(globalThis, globals);
  const gpu = create(['backend=null']);
  globalThis.navigator ??= {userAgent: `Node.js/${process.versions.node}`, platform: process.platform};
  Object.defineProperty(globalThis.navigator, 'gpu', {value: gpu, configurable: true});
  const {getMappedRange} = GPUBuffer.prototype;
  GPUBuffer.prototype.getMappedRange = function (...range) {
    const bytes = getMappedRange.apply(this, range);
    if (this.usage & 1 /* GPUBufferUsage.MAP_READ */) new Uint8Array(bytes).fill(0);
    return bytes;
  };
}

async function profiled(work) {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', {interval: 200});
  await session.post('Profiler.start');
  await work();
  return (await session.post('Profiler.stop')).profile;
}

/** Milliseconds by owner of the code. What a file calls that has no file (Dawn's bindings, built-ins) is its own time. */
function byOwner({nodes, samples, timeDeltas}) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parents = new Map(nodes.flatMap(({id, children = []}) => children.map((child) => [child, id])));
  const ownerOf = (id) => {
    const {functionName, url} = byId.get(id).callFrame;
    if (functionName === '(garbage collector)') return 'garbage collector';
    if (outside.includes(functionName)) return undefined;
    if (url.includes('@tensorflow/')) return 'tfjs';
    if (url.startsWith(new URL('../dist/', import.meta.url).href)) return 'engram';
    return parents.has(id) ? ownerOf(parents.get(id)) : undefined;
  };
  const total = {};
  samples.forEach((id, i) => {
    const owner = ownerOf(id);
    if (owner) total[owner] = (total[owner] ?? 0) + timeDeltas[i] / 1000;
  });
  return total;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(await measure()));
  process.exit(0); // the device would keep the process
}

/** Engram's kernels on the layers of the networks, each against the ceilings that the same run measured. */
import {row as kernelRow} from '../../dist/kernels/table.js';
import {constantsOf, makePlan} from '../../dist/kernels/webgpu-plan.js';
import {architectures, tabled} from './architectures.mjs';
import {randomBuffer} from './ceilings.mjs';
import {layersOf} from './shapes.mjs';
import {setsFor} from './timing.mjs';

/**
 * Precisions that the engine has beside f32. An engine that knows nothing of the option ignores it, and then runs the
 * pipeline it already has: only one that makes another pipeline is believed.
 *
 * @returns {names, notes: why the others are not there}
 */
export function precisionsOf(engine, names = ['f16']) {
  const layer = {op: 'conv', out: 64, kernel: 3, stride: 1, pad: 1};
  const [{params}] = layersOf({input: [16, 16, 64], layers: [layer]}, 4);
  const lengths = lengthsOf('grad_moment', params);
  const buffers = Object.fromEntries(Object.entries(lengths).map(([name, length]) => [name, engine.allocate(length)]));
  const found = {names: ['f32'], notes: []};
  engine.run('grad_moment', params, buffers);
  for (const precision of names) {
    const before = engine.pipelineCount;
    try {
      engine.run('grad_moment', params, buffers, {precision});
      if (engine.pipelineCount > before) found.names.push(precision);
      else found.notes.push(`${precision}: the engine has no kernels of this precision for this device`);
    } catch (error) {
      found.notes.push(`${precision}: ${error.message}`);
    }
  }
  engine.stream.submit();
  for (const buffer of Object.values(buffers)) buffer.destroy();
  return found;
}

export function lengthsOf(kernel, params) {
  return Object.fromEntries(
    Object.entries(kernelRow(kernel).buffers).map(([name, {length}]) => [
      name,
      length.reduce((n, size) => n * params[size], 1),
    ]),
  );
}

/** Milliseconds of a call of the engine, in rotation over sets of random buffers. */
export async function timeKernel({device, engine, timer}, kernel, params, options) {
  const lengths = lengthsOf(kernel, params);
  const bytes = 4 * Object.values(lengths).reduce((all, length) => all + length, 0);
  const make = () =>
    Object.fromEntries(
      Object.entries(lengths).map(([name, length]) => [name, length > 0 ? randomBuffer(device, length) : null]),
    );
  const sets = Array.from({length: setsFor(bytes)}, make);
  try {
    return await timer.measure((i) => engine.run(kernel, params, sets[i % sets.length], ...(options ? [options] : [])));
  } finally {
    for (const buffer of sets.flatMap(Object.values)) buffer?.destroy();
  }
}

/** The largest batch, halved from the wanted one, whose buffers the device can bind. */
export function fittingBatch({device}, layer, samples) {
  const largest = ({kernel, params}, batch) =>
    4 * Math.max(...Object.values(lengthsOf(kernel, {...params, samples: batch})));
  let batch = samples;
  while (batch > 1 && largest(layer, batch) > device.limits.maxStorageBufferBindingSize) batch = Math.ceil(batch / 2);
  return batch;
}

/** What the plan chose, in short. */
function planOf({device}, kernel, params) {
  const [first] = makePlan(kernel, constantsOf(kernel, params), device.limits).stages;
  const {micro, tileP, tileQ, tileK, lanesQ, lanesL, lanesB} = first.constants;
  const slices = first.workgroups[2];
  return micro
    ? `${tileP}x${tileQ}x${tileK}, ${micro}x${micro} a thread, ${slices} slices`
    : `${lanesQ}x${lanesL}x${lanesB} lanes, ${slices} slices`;
}

/**
 * @param gpu {device, engine, timer}
 * @param ceilings of the same run
 * @param options {quick, samples, rows: where every row goes when it is measured, report: called with it}; a row is for
 *   one of `count` equal layers
 * @returns {notes}
 */
export async function measureKernels(gpu, ceilings, {quick, samples, rows, report}) {
  const {names: precisions, notes} = precisionsOf(gpu.engine);
  const networks = architectures({quick});
  for (const network of tabled) {
    for (const layer of layersOf(networks[network], samples)) {
      const batch = fittingBatch(gpu, layer, samples);
      const params = {...layer.params, samples: batch};
      for (const precision of layer.weight ? precisions : ['f32']) {
        const options = precision === 'f32' ? undefined : {precision};
        const time = await timeKernel(gpu, layer.kernel, params, options);
        const share = batch / samples;
        const tflops = (layer.flops * share) / time.ms / 1e9;
        const gbs = (layer.bytes * share) / time.ms / 1e6;
        const {name, kernel, weight, count, L, P, Q} = layer;
        rows.push({
          network,
          layer: name,
          kernel,
          weight,
          count,
          B: batch,
          ...(batch < samples ? {note: `B = ${samples} is beyond what this device can bind`} : {}),
          precision,
          L,
          P,
          Q,
          ...time,
          tflops,
          gbs,
          fp32Share: tflops / ceilings.fp32.tflops,
          copyShare: gbs / ceilings.copy.gbs,
          plan: precision === 'f32' ? planOf(gpu, kernel, params) : null,
        });
        report(rows.at(-1));
      }
    }
  }
  return {notes};
}

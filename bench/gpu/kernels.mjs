/** Engram's kernels on the layers of the networks, each against the ceilings that the same run measured. */
import {row as kernelRow} from '../../dist/kernels/table.js';
import {constantsOf, makePlan, planKey} from '../../dist/kernels/webgpu-plan.js';
import {isMomentKernel} from '../../dist/kernels/webgpu-tilings.js';
import {tune, tuningOf} from '../../dist/kernels/webgpu-tune.js';
import {architectures, tabled} from './architectures.mjs';
import {randomBuffer} from './ceilings.mjs';
import {layersOf} from './shapes.mjs';
import {setsFor} from './timing.mjs';

/**
 * Precisions that the engine has beside f32.
 *
 * @returns {names, notes: why the others are not there}
 */
export function precisionsOf(engine, names = ['f16', 'f16x3']) {
  const found = {names: ['f32'], notes: []};
  for (const precision of names) {
    try {
      engine.checkPrecision(precision);
      found.names.push(precision);
    } catch (error) {
      found.notes.push(`${precision}: ${error.message}`);
    }
  }
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
export const timeKernel = (gpu, kernel, params, options) => timeKernels(gpu, kernel, [params], options);

/** Milliseconds of several calls of a kernel, one after the other. */
export async function timeKernels({device, engine, timer}, kernel, calls, options) {
  const lengths = calls.map((params) => lengthsOf(kernel, params));
  const elements = lengths.flatMap(Object.values).reduce((all, length) => all + length, 0);
  const make = () =>
    lengths.map((each) =>
      Object.fromEntries(
        Object.entries(each).map(([name, length]) => [name, length > 0 ? randomBuffer(device, length) : null]),
      ),
    );
  const sets = Array.from({length: setsFor(4 * elements)}, make);
  try {
    return await timer.measure((i) =>
      timer.stream.together(() => {
        for (const [k, params] of calls.entries()) engine.run(kernel, params, sets[i % sets.length][k], options);
      }),
    );
  } finally {
    for (const buffer of sets.flat().flatMap(Object.values)) buffer?.destroy();
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
function planOf({device, engine}, kernel, params) {
  const tiling = engine.tilings.get(planKey(kernel, params));
  const [first] = makePlan(kernel, constantsOf(kernel, params), device.limits, {tiling}).stages;
  const {micro, tileP, tileQ, tileK, prefetch, lanesQ, lanesL, lanesB} = first.constants;
  const slices = first.workgroups[2];
  return micro
    ? `${tileP}x${tileQ}x${tileK}, ${micro}x${micro} a thread${prefetch ? ', ahead' : ''}, ${slices} slices`
    : `${lanesQ}x${lanesL}x${lanesB} lanes, ${slices} slices`;
}

/**
 * @param gpu {device, engine, timer}
 * @param ceilings of the same run
 * @param options {quick, samples, autotune: measures tilings before a layer, rows: where every row goes when it is
 *   measured, report: called with it}; a row is for one of `count` equal layers
 * @returns {notes, tuning: what was tuned, for `useTuning`}
 */
export async function measureKernels(gpu, ceilings, {quick, samples, autotune, rows, report}) {
  const {names: precisions, notes} = precisionsOf(gpu.engine);
  const networks = architectures({quick});
  for (const network of tabled) {
    for (const layer of layersOf(networks[network], samples)) {
      const batch = fittingBatch(gpu, layer, samples);
      const params = {...layer.params, samples: batch};
      const tuned =
        autotune && isMomentKernel(layer.kernel)
          ? await tune(gpu.engine, layer.kernel, params, quick ? {candidates: 2, runs: 1} : {})
          : undefined;
      for (const precision of layer.weight ? precisions : ['f32']) {
        const options = precision === 'f32' ? undefined : {precision};
        let time;
        try {
          time = await timeKernel(gpu, layer.kernel, params, options);
        } catch (error) {
          if (precision === 'f32') throw error;
          notes.push(`${layer.name}, ${precision}: ${error.message}`);
          continue; // judged in f32, as a network would run it
        }
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
          ...(tuned && precision === 'f32' ? {byRule: tuned.byRule, candidates: tuned.candidates} : {}),
          plan: precision === 'f32' ? planOf(gpu, kernel, params) : null,
        });
        report(rows.at(-1));
      }
    }
  }
  return {notes, ...(autotune ? {tuning: tuningOf(gpu.engine)} : {})};
}

/** The penalized step on all parameters of a network: it moves 20, 28 or 36 bytes for each and should take no longer. */
import {architectures} from './architectures.mjs';
import {timeKernels} from './kernels.mjs';
import {variableSizes} from './shapes.mjs';

/** Rules with their state, and the bytes of a parameter: four read and one written, and each slot read and written. */
export const rules = {
  sgd: {slotCount: 0, bytes: 20},
  momentum: {slotCount: 1, bytes: 28},
  adam: {slotCount: 2, bytes: 36},
};
export const sized = ['alexnet', 'resnet18_32', 'vit'];

const params = (rule, size) => ({
  rule,
  penalty: 'proximal',
  size,
  penalized: 1,
  slotCount: rules[rule].slotCount,
  nesterov: 0,
  learningRate: 1e-4,
  momentum: 0.9,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-7,
  correction1: 0.1,
  correction2: 0.001,
  weightDecay: 0,
  lambda: 1,
});

/**
 * Adds rows {network, rule, way, dispatches, parameters, ms, gbs, copyShare}: all parameters as one variable, which is what
 * the kernel can do at best, and variable by variable, as the optimizer does it.
 */
export async function measureSteps(gpu, ceilings, {quick, rows, report}) {
  for (const network of sized) {
    const variables = variableSizes(architectures({quick})[network]);
    const parameters = variables.reduce((all, size) => all + size, 0);
    for (const [rule, {slotCount, bytes}] of Object.entries(rules)) {
      for (const [way, sizes] of Object.entries({'as one': [parameters], 'by variable': variables})) {
        const about = {network, rule, way, dispatches: sizes.length, parameters};
        const largest = Math.max(1, slotCount) * Math.max(...sizes) * 4;
        if (largest > gpu.device.limits.maxStorageBufferBindingSize) {
          rows.push({...about, note: `${largest} bytes are beyond what this device can bind`});
          continue;
        }
        const time = await timeKernels(
          gpu,
          'penalized_step',
          sizes.map((size) => params(rule, size)),
        );
        const gbs = (bytes * parameters) / time.ms / 1e6;
        rows.push({...about, ...time, gbs, copyShare: gbs / ceilings.copy.gbs});
        report(rows.at(-1));
      }
    }
  }
}

/** The penalized step on all parameters of a network at once: it moves 20, 28 or 36 bytes for each and should take no longer. */
import {architectures} from './architectures.mjs';
import {timeKernel} from './kernels.mjs';
import {totals} from './shapes.mjs';

/** Rules with their state, and the bytes of a parameter: four read and one written, and each slot read and written. */
export const rules = {
  sgd: {slotCount: 0, bytes: 20},
  momentum: {slotCount: 1, bytes: 28},
  adam: {slotCount: 2, bytes: 36},
};
const sized = ['alexnet', 'resnet18_32', 'vit'];

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

/** Adds rows {network, rule, parameters, ms, gbs, copyShare}. */
export async function measureSteps(gpu, ceilings, {quick, rows, report}) {
  for (const network of sized) {
    const {parameters} = totals(architectures({quick})[network], 1);
    for (const [rule, {slotCount, bytes}] of Object.entries(rules)) {
      const largest = Math.max(1, slotCount) * parameters * 4;
      if (largest > gpu.device.limits.maxStorageBufferBindingSize) {
        rows.push({network, rule, parameters, note: `${largest} bytes are beyond what this device can bind`});
        continue;
      }
      const time = await timeKernel(gpu, 'penalized_step', params(rule, parameters));
      const gbs = (bytes * parameters) / time.ms / 1e6;
      rows.push({network, rule, parameters, ...time, gbs, copyShare: gbs / ceilings.copy.gbs});
      report(rows.at(-1));
    }
  }
}

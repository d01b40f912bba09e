/** MAS as a method of a sequence is the MAS of one's own loop. */
import type * as tf from '@tensorflow/tfjs';
import {expect, it} from 'vitest';
import {estimateVectorImportance, MasMethod, MemoryAwareSynapses, type Method, VectorMasMethod} from '../dist/index.js';
import {describeEngine, engineName} from './engine.js';
import {golden, goldenMlp, learn, taskOf, toTensor} from './method-tasks.js';
import {own, ownAll} from './owned.js';

const valuesOf = (tensors: Iterable<tf.Tensor>) =>
  Promise.all([...tensors].map(async (tensor) => [...((await tensor.data()) as Float32Array)]));

/** MemoryAwareSynapses, called as a loop of one's own calls it. */
function byHand(network: tf.LayersModel, options: {lambda: number; normalize?: boolean}): Method & MemoryAwareSynapses {
  const mas = own(new MemoryAwareSynapses(network, options));
  const afterTask = async ({unlabelled}: {unlabelled(): AsyncIterable<tf.Tensor>}) => {
    await mas.consolidate(unlabelled());
  };
  return Object.assign(mas, {afterTask}) as unknown as Method & MemoryAwareSynapses;
}

describeEngine(`MAS as a method on ${engineName}`, () => {
  for (const normalize of [false, true]) {
    it(`MasMethod and MemoryAwareSynapses learn two tasks alike${normalize ? ', normalised' : ''}`, async () => {
      const options = {lambda: 0.1, normalize};
      const [one, other] = [goldenMlp(), goldenMlp()];
      for (const {variables} of [one, other]) variables.forEach(own);
      const method = own(new MasMethod(options));
      const mas = byHand(other.network, options);
      for (const task of [0, 1]) {
        await learn(method, one.network, task);
        await learn(mas, other.network, task);
      }
      const omega = one.variables.map(({name}) => method.memory.importance.get(name)!);
      expect(await valuesOf(omega)).toEqual(await valuesOf(other.variables.map(({name}) => mas.importance.get(name)!)));
      expect(await valuesOf(one.variables)).toEqual(await valuesOf(other.variables));
      expect((await valuesOf(one.variables)).flat()).not.toEqual(golden.weights.flatMap(({values}) => values));
      expect(method.reports.map(({samples}) => samples)).toEqual([0, 1].map((task) => golden.tasks[task].x.shape[0]));
    });
  }

  it('VectorMasMethod holds by the importance of every output by itself', async () => {
    const {network, variables} = goldenMlp();
    variables.forEach(own);
    const x = own(toTensor(golden.tasks[0].x));
    const method = own(new VectorMasMethod({lambda: 1}));
    await method.afterTask(taskOf(network, x));
    const expected = ownAll(await estimateVectorImportance(network, x));
    const held = variables.map(({name}) => method.memory.importance.get(name)!);
    expect(await valuesOf(held)).toEqual(await valuesOf(variables.map(({name}) => expected.get(name)!)));
  });
});

/** Steps on `webgpu` write over the parameters where nobody else sees their memory, and into fresh memory elsewhere. */
import * as tf from '@tensorflow/tfjs';
import {MemoryAwareSynapses} from 'engram';
import {afterAll, beforeAll, expect, it} from 'vitest';
import {describeGpu} from './gpu.js';

describeGpu('steps in place', () => {
  beforeAll(async () => void expect(await tf.setBackend('webgpu')).toBe(true));
  afterAll(() => tf.removeBackend('webgpu'));

  const start = [1, -2, 3, 4, 0.5];
  /** A variable that SGD with learning rate 1/2 moves by -1 a step. */
  function setting(initial: tf.Tensor = tf.tensor1d(start)) {
    const variable = tf.variable(initial);
    initial.dispose();
    const network = {forward: (x: tf.Tensor) => tf.mul(x, variable), variables: [variable]};
    const mas = new MemoryAwareSynapses(network, {lambda: 0});
    const optimizer = mas.optimizer(tf.train.sgd(0.5));
    const step = () => {
      const gradient = tf.fill(variable.shape, 2);
      optimizer.applyGradients({[variable.name]: gradient});
      gradient.dispose();
    };
    const dispose = () => {
      mas.dispose();
      optimizer.dispose();
      variable.dispose();
    };
    return {variable, mas, step, dispose};
  }
  const moved = (by: number) => start.map((value) => value - by);

  it('keep the memory of a variable that nobody shares', async () => {
    const {variable, step, dispose} = setting();
    step();
    const {dataId} = variable;
    const before = tf.memory() as tf.MemoryInfo & {numBytesInGPU: number};
    for (let i = 0; i < 3; i++) step();
    expect(variable.dataId).toBe(dataId);
    expect(tf.memory()).toMatchObject({numTensors: before.numTensors});
    expect([...(await variable.data())]).toEqual(moved(4));
    dispose();
  });

  it('leave clones, reshaped views and their likes as they were', async () => {
    const {variable, step, dispose} = setting();
    step();
    const clone = variable.clone();
    const view = tf.reshape(variable, [5, 1]);
    step();
    const between = variable.clone();
    step();
    expect([...(await clone.data())]).toEqual(moved(1));
    expect([...(await view.data())]).toEqual(moved(1));
    expect([...(await between.data())]).toEqual(moved(2));
    expect([...(await variable.data())]).toEqual(moved(3));
    tf.dispose([clone, view, between]);
    dispose();
  });

  it('leave anchors as they were', async () => {
    const {variable, mas, step, dispose} = setting();
    await mas.consolidate(tf.ones([3, 5]));
    for (let i = 0; i < 2; i++) step();
    expect([...(await mas.anchor.get(variable.name)!.data())]).toEqual(start);
    expect([...(await variable.data())]).toEqual(moved(2));
    dispose();
  });

  it('are seen by the next reading, and not by one under way', async () => {
    const {variable, step, dispose} = setting();
    expect([...(await variable.data())]).toEqual(start); // now the values are on the host too
    step();
    const reading = variable.data();
    step();
    step();
    expect([...(await reading)]).toEqual(moved(1));
    expect([...(await variable.data())]).toEqual(moved(3));
    dispose();
  });

  it('leave the GPU buffer of a user alone', async () => {
    const {device} = tf.backend() as unknown as {device: GPUDevice};
    const buffer = device.createBuffer({size: 20, usage: 0x80 | 0x4 | 0x8});
    device.queue.writeBuffer(buffer, 0, Float32Array.from(start));
    const {variable, step, dispose} = setting(tf.tensor({buffer, zeroCopy: true}, [5]) as tf.Tensor);
    step();
    step();
    expect([...(await variable.data())]).toEqual(moved(2));
    const own = tf.tensor({buffer, zeroCopy: true}, [5]);
    expect([...(await own.data())]).toEqual(start);
    own.dispose();
    dispose();
    buffer.destroy();
  });

  it('leave the array of a user alone', async () => {
    const array = Float32Array.from(start);
    const {variable, step, dispose} = setting(tf.tensor1d(array));
    step();
    step();
    expect([...array]).toEqual(start);
    expect([...(await variable.data())]).toEqual(moved(2));
    dispose();
  });

  it('take no memory beyond the parameters while commands wait', async () => {
    const count = 12;
    const variables = Array.from({length: count}, (_, i) => tf.variable(tf.zeros([1000 + i])));
    const mas = new MemoryAwareSynapses(
      {forward: (x) => tf.mul(x as tf.Tensor, tf.sum(variables[0])), variables},
      {lambda: 0},
    );
    const optimizer = mas.optimizer(tf.train.sgd(0.5));
    const gradients = Object.fromEntries(variables.map(({name, shape}) => [name, tf.ones(shape)]));
    const allocated = () => (tf.memory() as unknown as {numBytesAllocatedInGPU: number}).numBytesAllocatedInGPU;
    optimizer.applyGradients(gradients);
    await variables[0].data();
    const before = allocated();
    for (let i = 0; i < 3; i++) optimizer.applyGradients(gradients);
    expect(allocated()).toBe(before);
    for (const variable of variables) expect((await variable.data())[0]).toBe(-2);
    tf.dispose([...variables, ...Object.values(gradients)]);
    mas.dispose();
    optimizer.dispose();
  });
});

/** What the GPU can do at most, measured in the run that is held against it: copy bandwidth and fp32 arithmetic. */
import {readFileSync} from 'node:fs';
import {setsFor} from './timing.mjs';

const usage = {storage: 0x80, copyDst: 0x8, copySrc: 0x4};
const wgsl = (name) => readFileSync(new URL(`${name}.wgsl`, import.meta.url), 'utf8');

/** A pipeline of a shader of this folder, and the way to encode it into a stream. */
export function program(device, name, constants = {}) {
  const module = device.createShaderModule({label: name, code: wgsl(name)});
  const pipeline = device.createComputePipeline({layout: 'auto', compute: {module, entryPoint: 'main', constants}});
  const bind = (buffers) =>
    device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: buffers.map((buffer, binding) => ({binding, resource: {buffer}})),
    });
  const encode = (stream, group, workgroups) => {
    const pass = stream.pass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(...workgroups);
  };
  return {bind, encode};
}

/** A buffer of `length` random numbers. */
export function randomBuffer(device, length) {
  const buffer = device.createBuffer({size: 4 * length, usage: usage.storage | usage.copyDst | usage.copySrc});
  const fill = filler(device);
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  fill.encode({pass: () => pass}, fill.bind([buffer]), [Math.min(65535, Math.ceil(length / 256)), 1, 1]);
  pass.end();
  device.queue.submit([encoder.finish()]);
  return buffer;
}

/** A tensor of random numbers that never were on the host, for tfjs' `webgpu` backend; `tf` is the caller's tfjs-core. */
export function randomTensor(tf, shape) {
  const buffer = randomBuffer(tf.backend().device, tf.util.sizeFromShape(shape));
  const tensor = tf.tensor({buffer, zeroCopy: true}, shape);
  const dispose = () => {
    tensor.dispose();
    buffer.destroy();
  };
  return {tensor, dispose};
}

const fillers = new WeakMap();
function filler(device) {
  let fill = fillers.get(device);
  if (!fill) {
    fill = program(device, 'fill');
    fillers.set(device, fill);
  }
  return fill;
}

/** Bytes a second read and written together, by the best of several ways to copy. */
async function copyBandwidth(device, timer, quick) {
  const size = quick ? 4 * 2 ** 20 : Math.min(512 * 2 ** 20, device.limits.maxStorageBufferBindingSize - 4) & ~15;
  const sets = Array.from({length: quick ? 2 : setsFor(2 * size)}, () => [
    randomBuffer(device, size / 4),
    randomBuffer(device, size / 4),
  ]);
  let best = {gbs: 0};
  for (const each of [1, 2, 4, 8]) {
    const copy = program(device, 'copy', {each});
    const groups = sets.map((set) => copy.bind(set));
    const count = Math.ceil(size / 16 / (256 * each));
    const y = Math.ceil(count / 65535);
    const {ms, clock} = await timer.measure((i) =>
      copy.encode(timer.stream, groups[i % groups.length], [Math.ceil(count / y), y, 1]),
    );
    const gbs = (2 * size) / ms / 1e6;
    if (gbs > best.gbs) best = {gbs, ms, clock, bytes: 2 * size, vectorsPerThread: each};
  }
  for (const buffer of sets.flat()) buffer.destroy();
  return best;
}

/** Of a thread of fma.wgsl in a round: 32 chains, four multiply-adds deep, each counted as two. */
const operations = 32 * 4 * 2;

/** The best rate of multiply-adds that do nothing else. */
async function arithmetic(device, timer, quick) {
  const workgroups = quick ? 64 : 132 * 64;
  const factors = device.createBuffer({size: 32, usage: usage.storage | usage.copyDst});
  device.queue.writeBuffer(factors, 0, new Float32Array([0.999, 0.998, 0.997, 0.996, 0.1, 0.2, 0.3, 0.4]));
  const results = device.createBuffer({size: 4 * 256 * workgroups, usage: usage.storage});
  let best = {tflops: 0};
  for (const rounds of quick ? [4, 16] : [256, 1024]) {
    const fma = program(device, 'fma', {rounds});
    const group = fma.bind([factors, results]);
    const {ms, clock} = await timer.measure(() => fma.encode(timer.stream, group, [workgroups, 1, 1]));
    const tflops = (workgroups * 256 * rounds * operations) / ms / 1e9;
    if (tflops > best.tflops) best = {tflops, ms, clock, rounds};
  }
  factors.destroy();
  results.destroy();
  return best;
}

/** @returns {copy: {gbs, ...}, fp32: {tflops, ...}} */
export async function measureCeilings(device, timer, {quick = false} = {}) {
  return {copy: await copyBandwidth(device, timer, quick), fp32: await arithmetic(device, timer, quick)};
}

/**
 * Tensor cores in plain WGSL: the matrix shaders, rewritten as text so that they run on any adapter with the same
 * arithmetic. Operands are rounded to f16 as the conversion does it (to nearest even, denormals kept), products of them
 * are exact in f32, and a product of 16x16 matrices joins the sums by truncation towards zero, as measured on NVIDIA's
 * (Ootomo & Yokota 2022, section 2.3); within its 16 terms it is summed in f32. What is left out: the order and the
 * truncation within these 16 terms on real hardware, and everything about speed.
 */
import {expect} from 'vitest';
import {create, globals} from 'webgpu';
import {shaders} from '../dist/kernels/shaders.gen.js';
import {nothing, type Plan, scratch} from '../dist/kernels/webgpu-plan.js';

/**
 * A lane holds 8 elements of a sum matrix, those that it reads back from its slot; an operand is where it lies in
 * workgroup memory, which no lane writes while others multiply.
 */
const matrices = `
var<private> emulatedLane: u32 = 0u;
alias Left = u32;
alias Right = u32;
alias Sums = array<f32, 8>;

fn loadA(at: u32) -> Left {
  return at;
}

fn loadD(at: u32) -> Right {
  return at;
}

// a + b towards zero: what the rounded sum has too much, known from its exact error, costs it the last bit.
fn addTruncated(a: f32, b: f32) -> f32 {
  let sum = a + b;
  let other = sum - a;
  let error = (a - (sum - other)) + (b - other);
  let tooMuch = (error < 0 && sum > 0) || (error > 0 && sum < 0);
  return select(sum, bitcast<f32>(bitcast<u32>(sum) - 1u), tooMuch);
}

fn multiplyAdd(a: Left, d: Right, sums: Sums) -> Sums {
  var result = sums;
  for (var i = 0u; i < 8u; i++) {
    let row = i * 2u + emulatedLane / 16u;
    let column = emulatedLane % 16u;
    var product = 0.0;
    for (var k = 0u; k < 16u; k++) {
      product = fma(stagedA[a + k * strideA + row], stagedD[d + k * strideD + column], product);
    }
    result[i] = addTruncated(result[i], product);
  }
  return result;
}

fn storeSums(at: u32, sums: Sums) {
  for (var i = 0u; i < 8u; i++) {
    slots[at + i * 32u + emulatedLane] = sums[i];
  }
}

// The nearest f16, to even if there are two, as f32; no value here is beyond the range of f16.
fn roundToHalf(x: f32) -> f32 {
  let bits = bitcast<u32>(x) & 0x7fffffffu;
  // f16 keeps 10 bits behind the first, and none below 2^-24: what is added and taken away again rounds them off.
  let exponent = max(bits >> 23u, 113u);
  let unit = bitcast<f32>((exponent + 13u) << 23u);
  let magnitude = bitcast<f32>(bits);
  return select(1.0, -1.0, x < 0) * ((magnitude + unit) - unit);
}

fn roundToHalf4(x: vec4f) -> vec4f {
  return vec4f(roundToHalf(x.x), roundToHalf(x.y), roundToHalf(x.z), roundToHalf(x.w));
}
`;

/** Replaces what must be there, as often as given. */
function replaced(text: string, pattern: RegExp, by: string, times: number): string {
  expect(text.match(pattern)?.length, `${pattern}`).toBe(times);
  return text.replace(pattern, () => by);
}

/** A matrix shader without matrices and f16. Other shaders come back as they are. */
export function withoutMatrices(shader: string): string {
  if (!shader.includes('subgroup_matrix')) return shader;
  let text = replaced(shader, /^(diagnostic\(|enable ).*\n/gm, '', 4);
  text = replaced(text, /^\/\/ Begin of matrices[\s\S]*^\/\/ End of matrices\.$/gm, matrices, 1);
  text = replaced(text, /let lane = thread % 32u;/g, 'emulatedLane = thread % 32u;\n  let lane = emulatedLane;', 1);
  text = text.replace(/\bvec4h\(/g, 'roundToHalf4(').replace(/array<f16,/g, 'array<f32,');
  expect(text.replace(/\/\/.*/g, '')).not.toMatch(/f16|subgroup_matrix|subgroupMatrix/);
  return text;
}

Object.assign(globalThis, globals);
// Held by the module: a device whose `gpu` object is garbage-collected aborts the process.
const gpu = create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']);

/** A device that compiles shaders and runs nothing: 16 KiB of workgroup memory, 256 threads, subgroups of up to 128. */
export async function nullDevice(requiredFeatures: readonly string[]): Promise<GPUDevice> {
  const adapter = await gpu.requestAdapter();
  return adapter!.requestDevice({requiredFeatures: requiredFeatures as GPUFeatureName[]});
}

/** What an adapter with tensor cores says of itself. */
export const matrixInfo = {
  subgroupMinSize: 32,
  subgroupMaxSize: 32,
  subgroupMatrixConfigs: [{componentType: 'f16', resultComponentType: 'f32', M: 16, N: 16, K: 16}],
};

const pipelines = new Map<string, GPUComputePipeline>();

/** Runs a plan, its shaders rewritten by `edit`, and returns `moment`, behind which 8 elements must stay as they are. */
export async function runPlan(
  device: GPUDevice,
  plan: Plan,
  edit: (shader: string) => string,
  arrays: {activations: Float32Array; deltas: Float32Array; moment: Float32Array},
): Promise<Float32Array> {
  const guard = 1234.5;
  const flags = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const held: Record<string, GPUBuffer> = {};
  const put = (name: string, values: Float32Array) => {
    held[name] = device.createBuffer({size: values.byteLength, usage: flags});
    device.queue.writeBuffer(held[name], 0, values as Float32Array<ArrayBuffer>);
  };
  const guarded = (values: Float32Array) => Float32Array.from([...values, ...new Array(8).fill(guard)]);
  for (const [name, values] of Object.entries(arrays)) put(name, guarded(values));
  put(scratch, new Float32Array(plan.scratchLength + 8).fill(guard)); // what was there before must not count
  put(nothing, new Float32Array(4));
  const encoder = device.createCommandEncoder();
  for (const {shader, constants, workgroups, bindings} of plan.stages) {
    const key = `${shader} ${Object.values(constants)}`;
    let pipeline = pipelines.get(key);
    if (!pipeline) {
      const module = device.createShaderModule({code: edit(shaders[shader])});
      const types = {read: 'read-only-storage', read_write: 'storage', uniform: 'uniform'} as const;
      const layout = device.createBindGroupLayout({
        entries: bindings.map(({access}, binding) => ({binding, visibility: 4, buffer: {type: types[access]}})),
      });
      pipeline = device.createComputePipeline({
        layout: device.createPipelineLayout({bindGroupLayouts: [layout]}),
        compute: {module, entryPoint: 'main', constants},
      });
      pipelines.set(key, pipeline);
    }
    const entries = bindings.map(({from}, binding) => {
      const length = from === scratch ? plan.scratchLength : (arrays as Record<string, Float32Array>)[from]?.length;
      return {binding, resource: {buffer: held[from], size: length ? 4 * length : 16}};
    });
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, device.createBindGroup({layout: pipeline.getBindGroupLayout(0), entries}));
    pass.dispatchWorkgroups(...workgroups);
    pass.end();
  }
  const length = arrays.moment.length + 8;
  const staging = device.createBuffer({size: 4 * length, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST});
  encoder.copyBufferToBuffer(held.moment, 0, staging, 0, 4 * length);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const result = new Float32Array(staging.getMappedRange().slice(0));
  for (const buffer of [staging, ...Object.values(held)]) buffer.destroy();
  expect([...result.subarray(length - 8)], 'guard of moment').toEqual(new Array(8).fill(guard));
  return result.slice(0, length - 8);
}

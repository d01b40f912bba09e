/** Whether a GPU device multiplies matrices as the shaders grad_moment.f16 and grad_moment.f16x3 need it. */

/** The features that they need, under WebGPU's names; the last is an experiment of Chromium's. */
export const matrixFeatures = ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix'] as const;

interface MatrixConfig {
  readonly componentType: string;
  readonly resultComponentType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}
type MatrixInfo = Pick<GPUAdapterInfo, 'subgroupMinSize' | 'subgroupMaxSize'> & {
  readonly subgroupMatrixConfigs?: Iterable<MatrixConfig>;
};

/** Devices of adapters with the shape: in Node a device's own `adapterInfo` names no shapes, only the adapter's does. */
const fitting = new WeakSet<GPUDevice>();

/** Keeps what the adapter of a new device says of matrices, for {@link hasMatrices}. */
export function noteMatrices(device: GPUDevice, info: GPUAdapterInfo): void {
  if (fits(info)) fitting.add(device);
}

/** Whether the device multiplies 16x16 matrices of f16 into f32, in subgroups of exactly 32 lanes. */
export function hasMatrices(device: GPUDevice): boolean {
  return matrixFeatures.every((name) => device.features.has(name)) && (fitting.has(device) || fits(device.adapterInfo));
}

function fits(info: MatrixInfo | undefined): boolean {
  if (info?.subgroupMinSize !== 32 || info.subgroupMaxSize !== 32) return false;
  return [...(info.subgroupMatrixConfigs ?? [])].some(
    ({componentType, resultComponentType, M, N, K}) =>
      componentType === 'f16' && resultComponentType === 'f32' && M === 16 && N === 16 && K === 16,
  );
}

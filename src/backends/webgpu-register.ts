/** Registers tfjs' backend `webgpu` on a device with everything the adapter has, and with errors that are not silent. */
import {WebGPUBackend, webgpu_util} from '@tensorflow/tfjs-backend-webgpu';
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import {DeviceHealth} from '../kernels/webgpu-health.js';
import {matrixFeatures, noteMatrices} from '../kernels/webgpu-matrices.js';
import {Readings} from '../kernels/webgpu-readings.js';
import {registerGradients} from './webgpu-gradients.js';

/** Used where the adapter has them; all are optional. */
const usefulFeatures = ['timestamp-query', 'bgra8unorm-storage', ...matrixFeatures];

/**
 * tfjs' backend, except that a reading never passes off zeros as the result of work that the GPU did not do, and that
 * after a lost device `tf.setBackend('webgpu')` makes a new one. Values that are on the host survive the device.
 */
class CheckedWebGpuBackend extends WebGPUBackend {
  /** For steps in place, which must not write over what is being read. */
  readonly readings = new Readings();

  constructor(device: GPUDevice, info: GPUAdapterInfo) {
    super(device, info);
    DeviceHealth.of(device).onFault(() => {
      const {registry} = tf.engine();
      // Only the instance: the factory stays, and tensors keep finding their values here.
      if (registry.webgpu === (this as unknown)) delete registry.webgpu;
      // A device that refused work may still hold all its memory. Not at once: in the middle of telling an error, Dawn waits
      // for ever for itself to be done.
      setTimeout(() => device.destroy(), 0);
    });
  }

  override async read(dataId: object): Promise<tf.backend_util.TypedArray> {
    const onHost = this.onHost(dataId);
    if (onHost) return onHost;
    const health = DeviceHealth.of(this.device);
    health.check();
    return this.readings.during(dataId, async () => {
      const values = await super.read(dataId).catch(async (error: unknown) => {
        await health.settled();
        throw error;
      });
      await health.settled();
      return values as tf.backend_util.TypedArray;
    });
  }

  override readSync(dataId: object): tf.backend_util.TypedArray {
    const onHost = this.onHost(dataId);
    if (onHost) return onHost;
    DeviceHealth.of(this.device).check();
    if (typeof OffscreenCanvas === 'undefined') {
      throw new EngramError('BACKEND', {
        expected: 'an asynchronous reading of a GPU tensor',
        received: 'a synchronous one (dataSync, arraySync), which needs a browser',
        remedy: 'Use await tensor.data() or await tensor.array().',
      });
    }
    return super.readSync(dataId) as tf.backend_util.TypedArray;
  }

  override dispose(): void {
    super.dispose();
    this.device.destroy();
  }

  private onHost(dataId: object): tf.backend_util.TypedArray | undefined {
    const {values} = this.tensorMap.get(dataId) as {values?: tf.backend_util.TypedArray | null};
    return values ?? undefined;
  }
}

/** The GPU adapter that the backend uses. @throws EngramError NO_GPU with what to install */
export async function requestAdapter(): Promise<GPUAdapter> {
  const adapter = await navigator.gpu?.requestAdapter({powerPreference: 'high-performance'});
  if (adapter) return adapter;
  const linux = typeof process !== 'undefined' && process.platform === 'linux';
  throw new EngramError('NO_GPU', {
    expected: 'a WebGPU adapter',
    received: 'none',
    remedy: linux
      ? "Install the GPU vendor's Vulkan driver and libvulkan1. Without a GPU, Chromium brings a software adapter: " +
        'apt install chromium libvulkan1, then set VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json ' +
        'and XDG_RUNTIME_DIR=/tmp.'
      : 'Update the graphics driver, or use a browser with WebGPU switched on.',
  });
}

/** A device with all limits and the useful features of the adapter; the defaults stop at buffers of 128 MiB. */
export async function requestDevice(adapter: GPUAdapter): Promise<GPUDevice> {
  const requiredLimits: Record<string, number> = {};
  // Limits are getters of the prototype.
  for (const name in adapter.limits) {
    const limit = adapter.limits[name as keyof GPUSupportedLimits];
    if (typeof limit === 'number') requiredLimits[name] = limit;
  }
  const requiredFeatures = usefulFeatures.filter((name) => adapter.features.has(name)) as GPUFeatureName[];
  const device = await adapter.requestDevice({requiredLimits, requiredFeatures});
  DeviceHealth.of(device);
  noteMatrices(device, adapter.info);
  return device;
}

/** Puts the checked backend in the place of the one that tfjs' package registers; a running one is left alone. */
export function registerWebGpu(): void {
  if ('webgpu' in tf.engine().registry) return; // findBackend would start it
  tf.removeBackend('webgpu');
  registerGradients();
  tf.registerBackend(
    'webgpu',
    async () => {
      const adapter = await requestAdapter();
      if (adapter.info.isFallbackAdapter) favourFewBarriers();
      return new CheckedWebGpuBackend(await requestDevice(adapter), adapter.info);
    },
    3, // tfjs' own priority for it
  );
}

/**
 * A software adapter pays for every barrier of a workgroup: tfjs' matrix products for small outputs, which exist to fill
 * a GPU, take it 30 times as long as the ordinary one.
 */
function favourFewBarriers(): void {
  const flag = 'WEBGPU_MATMUL_PROGRAM_TYPE';
  const [automatic, ordinary] = [-1, webgpu_util.MatMulProgramType.MatMulPackedProgram];
  if (tf.env().getNumber(flag) === automatic) tf.env().set(flag, ordinary);
}

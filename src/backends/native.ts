/**
 * `import 'engram/native'`: a TensorFlow.js backend for Node named `native`. All kernels of tfjs' cpu backend, with
 * matrix products, 2-D convolutions and what else a training step is made of on the C++ addon. Tensors live where the cpu backend keeps them.
 *
 * Where the addon is missing, the import still succeeds; creating the backend fails with NO_ADDON, which
 * `tf.setBackend('native')` prints before it resolves to false.
 */
import {MathBackendCPU} from '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import {loadAddon} from '#addon';
import {EngramError} from '../errors.js';
import {convolutionKernels} from './native-conv2d.js';
import {elementwiseKernels} from './native-elementwise.js';
import {matrixKernels} from './native-matmul.js';
import {poolKernels} from './native-pool.js';

/** The `native` backend. One instance is made by TensorFlow.js when the backend is first used. */
export class NativeBackend extends MathBackendCPU {
  readonly addon;

  /** @throws EngramError NO_ADDON where the addon is missing */
  constructor() {
    super();
    const loaded = loadAddon();
    if ('missing' in loaded) {
      throw new EngramError('NO_ADDON', {
        expected: 'the C++ addon',
        received: loaded.missing,
        remedy: 'Run "npm run build:native" in the folder of engram, or use another backend: tf.setBackend("cpu").',
      });
    }
    this.addon = loaded.addon;
    this.addon.keepFreedMemory();
  }
}

/** Above cpu (1), below webgpu (3). */
const priority = 2;

tf.registerBackend('native', () => new NativeBackend(), priority);
tf.copyRegisteredKernels('cpu', 'native');
for (const {kernelName, kernelFunc} of [
  ...matrixKernels,
  ...convolutionKernels,
  ...poolKernels,
  ...elementwiseKernels,
]) {
  tf.unregisterKernel(kernelName, 'native');
  tf.registerKernel({kernelName, backendName: 'native', kernelFunc});
}

/**
 * `import 'engram/native'`: a TensorFlow.js backend for Node named `native`, with all kernels of tfjs' cpu backend, the
 * hot ones on the C++ addon. Tensors live where the cpu backend keeps them.
 *
 * Where the addon is missing, the import still succeeds; creating the backend fails with NO_ADDON, which
 * `tf.setBackend('native')` prints before it resolves to false.
 */
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import {NativeBackend} from './native/backend.js';
import {binaryKernels} from './native/binary.js';
import {convolutionKernels} from './native/conv2d.js';
import {volumeKernels} from './native/conv3d.js';
import {depthwiseKernels} from './native/depthwise.js';
import {gatheringKernels} from './native/gathering.js';
import {joiningKernels} from './native/joining.js';
import {layoutKernels} from './native/layout.js';
import {matrixKernels} from './native/matmul.js';
import {movementKernels} from './native/movement.js';
import {normalizationKernels} from './native/normalization.js';
import {poolKernels} from './native/pooling.js';
import {reductionKernels} from './native/reduction.js';
import {resizeKernels} from './native/resize.js';
import {borrowed} from './native/tensors.js';
import {setThreads, threads} from './native/threads.js';
import {traced} from './native/trace.js';
import {unaryKernels} from './native/unary.js';

export {NativeBackend, setThreads, threads};

/** Above cpu (1), below webgpu (3). */
const priority = 2;

tf.registerBackend('native', () => new NativeBackend(), priority);
const own = new Map(
  [
    ...matrixKernels,
    ...convolutionKernels,
    ...poolKernels,
    ...unaryKernels,
    ...binaryKernels,
    ...reductionKernels,
    ...normalizationKernels,
    ...layoutKernels,
    ...movementKernels,
    ...joiningKernels,
    ...gatheringKernels,
    ...depthwiseKernels,
    ...resizeKernels,
    ...volumeKernels,
  ].map((kernel) => [kernel.kernelName, kernel.kernelFunc]),
);
for (const {kernelName, kernelFunc, ...rest} of tf.getKernelsForBackend('cpu')) {
  const kernel = own.get(kernelName) ?? borrowed(kernelName, kernelFunc);
  tf.registerKernel({...rest, kernelName, backendName: 'native', kernelFunc: traced(kernelName, kernel)});
}

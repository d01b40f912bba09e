/** Loads TensorFlow.js with the backend that the user asked for, or the fastest one on the CPU. */
import {EngramError} from '../errors.js';
import {loadAddon} from '../kernels/addon.js';

export const backendNames = ['native', 'webgpu', 'cpu'] as const;
/** A TensorFlow.js backend that experiments run on. */
export type BackendName = (typeof backendNames)[number];

/** The backend in use, and in one line why it is not the default. */
export interface ChosenBackend {
  readonly name: BackendName;
  readonly notice?: string;
}

/**
 * Makes a tfjs backend current. Without a wish it is `native` where the addon is built, else `cpu` with a notice.
 *
 * @throws EngramError NO_ADDON, NO_GPU or BACKEND; an import error if an optional peer package is missing
 */
export async function useBackend(wanted?: BackendName): Promise<ChosenBackend> {
  const tf = await import('@tensorflow/tfjs-core');
  // Silences tfjs' advice to install tfjs-node, which has no release for today's Node.
  tf.enableProdMode();
  const chosen = chooseBackend(wanted);
  await register[chosen.name]();
  try {
    if (await tf.setBackend(chosen.name)) {
      await tf.ready();
      return chosen;
    }
  } catch (cause) {
    if (cause instanceof EngramError) throw cause;
    throw unusable(chosen.name, cause);
  }
  throw unusable(chosen.name);
}

/** Which backend {@link useBackend} takes, without starting it. */
export function chooseBackend(wanted?: BackendName): ChosenBackend {
  if (wanted) return {name: wanted};
  const loaded = loadAddon();
  if ('addon' in loaded) return {name: 'native'};
  return {name: 'cpu', notice: `no C++ addon: ${loaded.missing}; "engram doctor" says what to do`};
}

/** Importing a backend registers it with tfjs. */
const register: Record<BackendName, () => Promise<unknown>> = {
  cpu: () => import('@tensorflow/tfjs-backend-cpu'),
  native: async () => {
    const loaded = loadAddon();
    if ('addon' in loaded) return import('../backends/native.js');
    throw new EngramError('NO_ADDON', {
      expected: 'the C++ addon of the native backend',
      received: loaded.missing,
      remedy: 'Run "npm run build:native" in the package and read what it says, or use --backend cpu.',
    });
  },
  webgpu: () => import('../backends/webgpu.js'),
};

function unusable(name: BackendName, cause?: unknown): EngramError {
  const received = cause instanceof Error ? cause.message : 'TensorFlow.js could not start it';
  const remedy = 'Run "engram doctor", which says what is missing, or use another --backend.';
  return new EngramError(name === 'webgpu' ? 'NO_GPU' : 'BACKEND', {
    expected: `the ${name} backend to start`,
    received,
    remedy,
    cause,
  });
}

/** Fine-tuning and joint training: what forgets everything, and what forgets nothing because it keeps all the data. */
import type {Method} from './method.js';

/** Goes on with the next task and holds nothing: the lower bound. */
export const fineTuning = (): Method => ({optimizer: (base) => base, dispose: () => undefined});

/** Learns every task together with all tasks before it, whose data it needs: the upper bound. */
export const jointTraining = (): Method => ({optimizer: (base) => base, trainsOn: 'all', dispose: () => undefined});

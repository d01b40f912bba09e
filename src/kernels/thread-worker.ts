/** The thread that thread.ts starts: runs one reference kernel on arrays in shared memory. */
import {parentPort, workerData} from 'node:worker_threads';
import type {Body, ReferenceArray} from './reference/body.js';
import {bodies} from './reference/engine.js';

const {kernel, params, arrays} = workerData as {
  kernel: keyof typeof bodies;
  params: object;
  arrays: Record<string, ReferenceArray>;
};
(bodies[kernel] as Body<typeof kernel>)(params as never, arrays as never);
parentPort!.postMessage('done');

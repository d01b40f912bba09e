/** A GPU device for tests that need one. */
import {describe, type SuiteAPI} from 'vitest';
import {requestAdapter, requestDevice} from '../dist/backends/webgpu.js';

async function findDevice(): Promise<GPUDevice | null> {
  try {
    return await requestDevice(await requestAdapter());
  } catch (error) {
    if (process.env.ENGRAM_GPU === 'require') throw error;
    console.warn(`engram tests: no WebGPU adapter, so GPU tests are skipped (${(error as Error).message})`);
    return null;
  }
}

const found = await findDevice();
/** The device of this test file; throws at the first use where there is none, which skipped tests never reach. */
export const device = found as GPUDevice;
/** `describe`, skipped where this machine has no GPU adapter; ENGRAM_GPU=require makes that a failure instead. */
export const describeGpu: ReturnType<SuiteAPI['skipIf']> = describe.skipIf(found === null);
/** A device of its own, for tests that break it. */
export const freshDevice = async (): Promise<GPUDevice> => requestDevice(await requestAdapter());

/** A GPU device for tests that need one. */
import {closeSync, openSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {describe, type SuiteAPI} from 'vitest';
import {requestAdapter, requestDevice} from '../dist/backends/webgpu.js';

/** Says in one line that GPU tests are skipped: test files are processes of their own, so the first one says it. */
export function saySkipped(reason: string): void {
  try {
    closeSync(openSync(join(tmpdir(), `engram-tests-skipped-${process.ppid}`), 'wx'));
  } catch {
    return;
  }
  console.warn(`engram tests: no WebGPU adapter, so GPU tests are skipped (${reason})`);
}

async function findDevice(): Promise<GPUDevice | null> {
  try {
    return await requestDevice(await requestAdapter());
  } catch (error) {
    if (process.env.ENGRAM_GPU === 'require') throw error;
    saySkipped((error as Error).message);
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

/** The adapter that this process gets and whether the addon loads, as one line of JSON on stdout. */
import {requestAdapter, requestDevice} from '../../dist/backends/webgpu.js';
import {loadAddon} from '../../dist/kernels/addon.js';
import {describeGpu} from '../gpu/adapter.mjs';

async function gpu() {
  try {
    const adapter = await requestAdapter();
    return describeGpu(adapter, await requestDevice(adapter));
  } catch (error) {
    return {missing: error.message};
  }
}

const loaded = loadAddon();
const addon =
  'missing' in loaded ? loaded : {instructionSet: loaded.addon.instructionSet(), threads: loaded.addon.threads()};
const text = JSON.stringify({gpu: await gpu(), addon, node: process.version});
process.stdout.write(`${text}\n`, () => process.exit(0));

/** `engram/webgpu`: tfjs on WebGPU in Node, by one import, in a process that ends by itself. */
import {execFile} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import * as tf from '@tensorflow/tfjs';
import {build} from 'esbuild';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {describeGpu, device} from './gpu.js';

interface Ended {
  code: number | string | null;
  output: string;
}
const node = (script: string, type: 'module' | 'commonjs', env: NodeJS.ProcessEnv = {}): Promise<Ended> =>
  new Promise((resolve) => {
    const options = {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      env: {...process.env, ...env},
      timeout: 60_000,
    };
    execFile(process.execPath, [`--input-type=${type}`, '-e', script], options, (error, stdout, stderr) => {
      resolve({code: error ? (error.code ?? error.signal ?? 'failed') : 0, output: stdout + stderr});
    });
  });

describeGpu('the webgpu backend', () => {
  beforeAll(async () => {
    expect(await tf.setBackend('webgpu')).toBe(true);
  });
  afterAll(() => tf.removeBackend('webgpu'));

  it('has all limits of the adapter', async () => {
    const {device: own} = tf.backend() as unknown as {device: GPUDevice};
    for (const limits of [own.limits, device.limits]) {
      const adapter = await navigator.gpu.requestAdapter();
      expect(limits.maxStorageBufferBindingSize).toBe(adapter!.limits.maxStorageBufferBindingSize);
      expect(limits.maxComputeWorkgroupStorageSize).toBe(adapter!.limits.maxComputeWorkgroupStorageSize);
      expect(limits.maxStorageBuffersPerShaderStage).toBe(adapter!.limits.maxStorageBuffersPerShaderStage);
    }
  });

  it('multiplies matrices as the cpu backend does', async () => {
    const values = (n: number) => Float32Array.from({length: n}, (_, i) => Math.sin(i * 1.7));
    const product = async () =>
      (await tf
        .matMul(tf.tensor2d(values(33 * 70), [33, 70]), tf.tensor2d(values(70 * 21), [70, 21]))
        .data()) as Float32Array;
    const onGpu = await product();
    await tf.setBackend('cpu');
    const onCpu = await product();
    await tf.setBackend('webgpu');
    for (let i = 0; i < onCpu.length; i++) expect(Math.abs(onGpu[i] - onCpu[i])).toBeLessThan(1e-4);
  });

  it('trains layers', async () => {
    const model = tf.sequential();
    model.add(
      tf.layers.conv2d({
        inputShape: [6, 6, 1],
        filters: 2,
        kernelSize: 3,
        activation: 'relu',
        kernelInitializer: tf.initializers.glorotUniform({seed: 1}),
      }),
    );
    model.add(tf.layers.flatten());
    model.add(
      tf.layers.dense({units: 2, activation: 'softmax', kernelInitializer: tf.initializers.glorotUniform({seed: 2})}),
    );
    model.compile({optimizer: tf.train.adam(0.03), loss: 'categoricalCrossentropy'});
    const x = tf.randomNormal([32, 6, 6, 1], 0, 1, 'float32', 3);
    const y = tf.tidy(() => tf.oneHot(tf.cast(tf.greater(tf.sum(x, [1, 2, 3]), 0), 'int32'), 2));
    const {history} = await model.fit(x, y, {epochs: 8, batchSize: 16, verbose: 0, shuffle: false});
    expect(history.loss[7]).toBeLessThan(0.8 * (history.loss[0] as number));
  });

  it('says that a GPU tensor can only be read asynchronously in Node', () => {
    expect(() => tf.relu(tf.randomNormal([64, 64])).dataSync()).toThrow(/await tensor.data\(\)/);
  });

  it('rejects a reading from a lost device instead of giving zeros', async () => {
    const result = tf.relu(tf.randomNormal([64, 64]));
    const {device: own} = tf.backend() as unknown as {device: GPUDevice};
    own.destroy();
    await own.lost;
    await expect(result.data()).rejects.toMatchObject({code: 'DEVICE'});
  });

  const use = `tf.setBackend('webgpu').then(async (ok) => console.log(ok, tf.getBackend(), ...await tf.relu(tf.tensor1d([-1, 2])).data()))`;
  it('lets the process end by itself, by import and by require', async () => {
    const done = {code: 0, output: expect.stringContaining('true webgpu 0 2')};
    expect(
      await node(`import * as tf from '@tensorflow/tfjs'; import 'engram/webgpu'; await ${use};`, 'module'),
    ).toEqual(done);
    expect(await node(`const tf = require('@tensorflow/tfjs'); require('engram/webgpu'); ${use};`, 'commonjs')).toEqual(
      done,
    );
    const freed = `import * as tf from '@tensorflow/tfjs'; import 'engram/webgpu'; await ${use}; tf.removeBackend('webgpu');`;
    expect(await node(freed, 'module')).toEqual(done);
  });

  it('survives garbage collection of everything that a caller does not hold', async () => {
    const script = `import v8 from 'node:v8'; import vm from 'node:vm'; import * as tf from '@tensorflow/tfjs'; import 'engram/webgpu';
      v8.setFlagsFromString('--expose-gc'); const gc = vm.runInNewContext('gc');
      await tf.setBackend('webgpu');
      for (let i = 0; i < 3; i++) { gc(); await new Promise((r) => setTimeout(r, 10)); console.log(...await tf.relu(tf.tensor1d([-1, 2])).data()); }`;
    expect(await node(script, 'module')).toEqual({code: 0, output: '0 2\n0 2\n0 2\n'});
  });
});

describe('the webgpu backend for browsers', () => {
  it('is bundled without anything of Node', async () => {
    const peers = ['@tensorflow/tfjs-core', '@tensorflow/tfjs-backend-webgpu'];
    const {metafile} = await build({
      stdin: {contents: "import 'engram/webgpu'", resolveDir: fileURLToPath(new URL('..', import.meta.url))},
      bundle: true,
      platform: 'browser',
      format: 'esm',
      write: false,
      metafile: true,
      external: peers,
    });
    const outside = Object.values(metafile.outputs).flatMap((output) => output.imports.map(({path}) => path));
    expect([...new Set(outside)].sort()).toEqual([...peers].sort());
    expect(Object.keys(metafile.inputs).filter((path) => path.includes('navigator'))).toEqual([]);
  });
});

describe('the webgpu backend without an adapter', () => {
  const none = {VK_ICD_FILENAMES: '/nonexistent', VK_DRIVER_FILES: '/nonexistent'};

  it.runIf(process.platform === 'linux')('fails with NO_GPU and what to install', async () => {
    const script = `import {requestAdapter} from 'engram/webgpu';
      await requestAdapter().catch((error) => console.log(error.code, error.remedy));`;
    const {code, output} = await node(script, 'module', none);
    expect(code).toBe(0);
    expect(output).toMatch(/NO_GPU .*vk_swiftshader_icd.json/);
  });

  it.runIf(process.platform === 'linux')('leaves tf.setBackend false, with the remedy on the console', async () => {
    const script = `import * as tf from '@tensorflow/tfjs'; import 'engram/webgpu'; console.log(await tf.setBackend('webgpu'));`;
    const {code, output} = await node(script, 'module', none);
    expect(code).toBe(0);
    expect(output).toContain('false');
    expect(output).toContain('apt install chromium');
  });
});

/** `engram/webgpu` as the installed package in processes of their own, which end by themselves; and in a browser bundle. */
import {execFile} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {build} from 'esbuild';
import {describe, expect, it} from 'vitest';
import {describeGpu} from './gpu.js';

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

describeGpu('a process with the webgpu backend', () => {
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

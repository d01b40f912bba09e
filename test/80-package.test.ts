/** The package as others meet it: every entry by import and require, a browser bundle, bare tfjs-core, the tarball. */
import {execFile} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {build} from 'esbuild';
import {describe, expect, it} from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const node = async (script: string, type: 'module' | 'commonjs', env: NodeJS.ProcessEnv = {}): Promise<string> => {
  const run = promisify(execFile)(process.execPath, [`--input-type=${type}`, '-e', script], {
    cwd: root,
    env: {...process.env, ...env},
  });
  return (await run).stdout;
};
const peers = ['@tensorflow/tfjs-core', '@tensorflow/tfjs-layers', '@tensorflow/tfjs-backend-cpu'];

describe('the package', () => {
  for (const [entry, name] of [
    ['engram', 'MemoryAwareSynapses'],
    ['engram/kernels', 'table'],
    ['engram/experiments', 'learnSequence'],
    ['engram/native', null],
    ['engram/webgpu', null],
  ] as const) {
    it(`gives ${entry} to import and to require`, async () => {
      const probe = name ? `typeof entry.${name}` : 'typeof entry';
      const done = 'process.exit(0)';
      expect(await node(`import * as entry from '${entry}'; console.log(${probe}); ${done}`, 'module')).toMatch(
        /function|object/,
      );
      expect(await node(`const entry = require('${entry}'); console.log(${probe}); ${done}`, 'commonjs')).toMatch(
        /function|object/,
      );
    });
  }

  for (const entry of ['engram', 'engram/kernels']) {
    it(`bundles ${entry} for a browser without anything of Node`, async () => {
      const {metafile, errors} = await build({
        stdin: {contents: `import * as entry from '${entry}'; console.log(entry)`, resolveDir: root},
        bundle: true,
        platform: 'browser',
        format: 'esm',
        write: false,
        metafile: true,
        external: peers,
        logLevel: 'silent',
      });
      expect(errors).toEqual([]);
      const inputs = Object.keys(metafile.inputs);
      expect(inputs.some((path) => path.endsWith('addon.browser.js'))).toBe(true);
      expect(inputs.filter((path) => path.endsWith('/addon.js'))).toEqual([]);
      const outside = Object.values(metafile.outputs).flatMap((output) => output.imports.map(({path}) => path));
      expect(outside.filter((path) => !peers.includes(path))).toEqual([]);
    });
  }

  it('gives every method that experiments name, as a class or function of its own', async () => {
    const classes = [
      'MasMethod',
      'VectorMasMethod',
      'LocalMasMethod',
      'BatchMasMethod',
      'ElasticWeightConsolidation',
      'SynapticIntelligence',
      'RiemannianWalk',
      'LearningWithoutForgetting',
      'EncoderBasedLifelongLearning',
      'IncrementalMomentMatching',
      'ExperienceReplay',
      'fineTuning',
      'jointTraining',
    ];
    const script = `import * as entry from 'engram'; console.log(Object.keys(entry).join()); process.exit(0)`;
    expect((await node(script, 'module')).trim().split(',')).toEqual(expect.arrayContaining(classes));
  });

  it('keeps TensorFlow.js out of engram/kernels', async () => {
    const {metafile} = await build({
      stdin: {contents: "import 'engram/kernels'", resolveDir: root},
      bundle: true,
      platform: 'browser',
      write: false,
      metafile: true,
      external: ['@tensorflow/*'],
      ignoreAnnotations: true,
    });
    const outside = Object.values(metafile.outputs).flatMap((output) => output.imports.map(({path}) => path));
    expect(outside).toEqual([]);
  });

  it('tells who has only tfjs-core which import brings the gradients', async () => {
    const script = `
      import * as tf from '@tensorflow/tfjs-core';
      import '@tensorflow/tfjs-backend-cpu';
      import {MemoryAwareSynapses} from 'engram';
      const w = tf.variable(tf.ones([2, 2]));
      const network = {forward: (x) => tf.matMul(x, w), variables: [w]};
      const mas = new MemoryAwareSynapses(network, {lambda: 1});
      await mas.consolidate(tf.ones([3, 2])).catch((error) => console.log(error.code, error.remedy));`;
    const output = await node(script, 'module');
    expect(output).toMatch(/^NO_GRADIENTS/);
    expect(output).toContain('@tensorflow/tfjs-layers');
  });

  it('works without the addon, and says once that it is slow', async () => {
    const script = `
      import * as tf from '@tensorflow/tfjs';
      import {MemoryAwareSynapses} from 'engram';
      const w = tf.variable(tf.ones([2, 2]));
      const mas = new MemoryAwareSynapses({forward: (x) => tf.matMul(x, w), variables: [w]}, {lambda: 1});
      console.warn = (line) => { if (line.startsWith('engram')) console.log(line); };
      await mas.consolidate(tf.ones([3, 2]));
      await mas.consolidate(tf.ones([3, 2]));`;
    const lines = (await node(script, 'module', {ENGRAM_NATIVE: 'skip'})).trim().split('\n');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('reference engine');
  });

  it('packs what an installation needs, and no build output of this machine', async () => {
    const {stdout} = await promisify(execFile)('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {cwd: root});
    const files: string[] = JSON.parse(stdout)[0].files.map(({path}: {path: string}) => path);
    for (const needed of [
      'dist/index.js',
      'dist/cli/main.js',
      'native/CMakeLists.txt',
      'native/install.mjs',
      'examples/kernels.mjs',
      'examples/sequence.mjs',
      'experiments/eight-tasks.json',
      'experiments/eight-tasks.selected.json',
      'shaders/grad_moment.wgsl',
      'binding.gyp',
      'data/digits.csv.gz',
      'README.md',
      'LICENSE',
    ]) {
      expect(files).toContain(needed);
    }
    expect(files.filter((path) => path.includes('build/') || path.endsWith('.node'))).toEqual([]);
    expect(files.filter((path) => path.includes('results/'))).toEqual([]);
  });
});

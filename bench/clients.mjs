/**
 * Published tfjs libraries with trained networks inside their npm packages, unchanged, on `cpu` and on `native`: the same
 * results, and how long they take. They are no dependencies; a client that is not installed is left out with a line.
 *
 *     npm i --no-save --ignore-scripts nsfwjs@4.2.1 buffer @vladmandic/face-api@1.7.15 jpeg-js
 *     npm run bench -- clients
 */
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {clock, interleave} from './measure.mjs';

const require = createRequire(import.meta.url);
const folderOf = (name) => dirname(require.resolve(`${name}/package.json`));

/** What a client takes to start: its networks on the current backend, and a run that gives numbers. */
const clients = {
  'nsfwjs: MobileNetV2, 224 x 224': async (tf) => {
    const model = await require('nsfwjs').load('MobileNetV2');
    const image = tf.tidy(() => tf.cast(tf.randomUniform([224, 224, 3], 0, 255, 'int32', 1), 'int32'));
    return async () => {
      const classes = await model.classify(image);
      return classes.sort((a, b) => (a.className < b.className ? -1 : 1)).map(({probability}) => probability);
    };
  },
  'face-api: detection, landmarks, descriptors, age of three people': async (tf) => {
    const faceapi = require('@vladmandic/face-api/dist/face-api.node-wasm.js');
    const folder = folderOf('@vladmandic/face-api');
    const {data, width, height} = require('jpeg-js').decode(readFileSync(join(folder, 'demo', 'sample1.jpg')), {
      useTArray: true,
      formatAsRGBA: false,
    });
    for (const name of ['ssdMobilenetv1', 'faceLandmark68Net', 'faceRecognitionNet', 'ageGenderNet']) {
      await faceapi.nets[name].loadFromDisk(join(folder, 'model'));
    }
    const image = tf.tensor3d(data, [height, width, 3], 'int32');
    return async () => {
      const faces = await faceapi.detectAllFaces(image).withFaceLandmarks().withFaceDescriptors().withAgeAndGender();
      return faces.flatMap(({detection, descriptor, age}) => [detection.score, age / 100, ...descriptor]);
    };
  },
};

/** @returns rows {client, cpu, native, speedup, 'largest difference'}, times in milliseconds a run */
export async function clientsBench({rounds = 3} = {}) {
  // These clients are CommonJS, and so must their tfjs be; its kernels and engine are one per process.
  const tf = require('@tensorflow/tfjs');
  await import('../dist/backends/native.js');
  const rows = [];
  for (const [client, start] of Object.entries(clients)) {
    const results = {};
    const runs = {};
    try {
      for (const backend of ['cpu', 'native']) {
        await tf.setBackend(backend);
        const run = await start(tf);
        results[backend] = await run();
        runs[backend] = async () => {
          await tf.setBackend(backend);
          return clock(run);
        };
      }
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') throw error;
      console.log(`${client} is not installed: ${error.message.split('\n')[0]} (see bench/clients.mjs)`);
      continue;
    }
    const differences = results.cpu.map((value, i) => Math.abs(value - results.native[i]));
    if (results.cpu.length !== results.native.length) differences.push(Number.POSITIVE_INFINITY);
    const {cpu, native} = await interleave(runs, rounds);
    rows.push({client, cpu, native, speedup: cpu / native, 'largest difference': Math.max(...differences)});
  }
  return rows;
}

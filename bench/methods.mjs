/**
 * What each method costs: learning a second task while it holds a first one, what it does by itself between tasks, and what
 * it keeps. Tasks of 10 classes, of random images; times are by the second task's samples. Medians of interleaved runs.
 */
import {useBackend} from '../dist/experiments/backend.js';
import {learnSequence} from '../dist/experiments/learn.js';
import {makeMethod} from '../dist/experiments/methods.js';
import {backboneOf} from '../dist/experiments/networks.js';
import {imagesInMemory} from '../dist/scenarios/images.js';
import {sequenceOf} from '../dist/scenarios/sequence-of.js';
import {load, median} from './measure.mjs';

const methods = {
  'fine-tuning': {method: 'fine-tuning'},
  MAS: {method: 'mas', lambda: 1},
  'MAS, vector output': {method: 'vector-mas', lambda: 1},
  'l-MAS': {method: 'local-mas', lambda: 1},
  'MAS as the authors’ code': {method: 'batch-mas', preset: 'official', lambda: 1},
  'EWC, empirical': {method: 'ewc', lambda: 1},
  'EWC, expectation': {method: 'ewc', fisher: 'expectation', lambda: 1},
  SI: {method: 'si', lambda: 1},
  RWalk: {method: 'rwalk', lambda: 1},
  LwF: {method: 'lwf'},
  EBLL: {method: 'ebll', codeSize: 32, epochs: 1},
  'IMM, mean': {method: 'imm', merge: 'mean', transfer: 0.01},
  'IMM, mode': {method: 'imm', merge: 'mode', transfer: 0.01},
  replay: {method: 'replay', capacity: 200},
  joint: {method: 'joint'},
};
const cases = [
  {network: {kind: 'mlp', hidden: [256, 256]}, side: 28, samples: 4096},
  {network: {kind: 'cnn'}, side: 32, samples: 1024},
];
const classes = Array.from({length: 10}, (_, i) => `class ${i}`);
const batchSize = 64;
const rounds = 5;

export async function methodCosts({backend} = {}) {
  const {name} = await useBackend(backend);
  const rows = [];
  for (const {network, side, samples} of cases) {
    const sequence = sequenceOf(
      'random',
      [1, 2].map((task) => ({name: `task ${task}`, train: images(samples, side), test: images(64, side)})),
      {height: side, width: side, channels: 1, scenario: 'task-incremental'},
    );
    const turns = Object.fromEntries(Object.keys(methods).map((label) => [label, []]));
    // The first round warms up.
    for (let round = 0; round <= rounds; round++) {
      for (const [label, spec] of Object.entries(methods)) {
        const cost = await secondTask(sequence, network, spec);
        if (round > 0) turns[label].push(cost);
      }
    }
    const perThousand = (label, key) => (1e6 * median(turns[label].map((cost) => cost[key]))) / samples;
    for (const label of Object.keys(methods)) {
      const training = perThousand(label, 'training');
      rows.push({
        network: network.kind,
        backend: name,
        method: label,
        'training ms / 1000 samples': training,
        'of fine-tuning': training / perThousand('fine-tuning', 'training'),
        'own pass ms / 1000 samples': perThousand(label, 'method'),
        'held MB': turns[label][0].bytes / 1e6,
        load: load(),
      });
    }
  }
  return rows;
}

/** Seconds that the second task takes, and bytes that the method holds after it. */
async function secondTask(sequence, network, spec) {
  const method = makeMethod(spec);
  const after = [];
  try {
    await learnSequence(
      sequence,
      backboneOf(network),
      method,
      {optimizer: {kind: 'momentum', learningRate: 0.001, momentum: 0.9}, batchSize, epochs: 1},
      {seed: 1, onTask: async ({seconds, bytes}) => after.push({...seconds, bytes})},
    );
  } finally {
    method.dispose();
  }
  const [first, second] = after;
  return {
    training: second.training - first.training,
    method: second.method - first.method,
    bytes: second.bytes,
  };
}

/** Random pixels of ten classes. */
function images(count, side) {
  return imagesInMemory({
    pixels: Float32Array.from({length: count * side * side}, () => Math.random()),
    labels: Uint8Array.from({length: count}, (_, i) => i % 10),
    count,
    height: side,
    width: side,
    channels: 1,
    classes,
  });
}

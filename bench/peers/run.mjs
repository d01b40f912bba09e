/**
 * Engram on `native` and PyTorch on the same networks, batches and threads, alternately in one run: a training step, and
 * the importance of a batch. PyTorch counts with the better of what OpenBLAS chooses and SkylakeX.
 *
 *     npm run bench -- peers
 */
import * as tf from '@tensorflow/tfjs-core';
import {consolidationContenders} from '../consolidation.mjs';
import {fastest, interleave, load, longRun} from '../measure.mjs';
import {networks} from '../networks.mjs';
import {trainingSteps} from '../training.mjs';
import {coreTypes, startTorch, torchVersion} from './torch.mjs';

/** Training steps that are to take no longer than PyTorch's. */
const trained = ['mlp', 'lenet', 'cnn', 'alexnet'];
/** Networks to consolidate, and the part of the peer's time that it may take. */
const consolidated = ['mlp', 'cnn'];
const most = {step: 1.15, expert: 0.7, vmap: 0.15};

/** OpenBLAS threads go on spinning for 2^26 cycles after a call, which would be taken from whoever comes next. */
const pause = () => new Promise((resolve) => setTimeout(resolve, 60));

/**
 * {@link interleave} whose turns go on for a while, and the end of them counts: what others made wait is slow at first.
 * Of all turns the fastest counts: on two cores the threads of OpenMP and of OpenBLAS, which PyTorch has both, hinder
 * each other in many of them, and make its steps two to five times slower.
 */
function interleavePeers(contenders, rounds) {
  const turnOf = (measure) => async () => {
    const start = performance.now();
    let milliseconds;
    do milliseconds = await measure();
    while (performance.now() - start < 250);
    await pause();
    return milliseconds;
  };
  const turns = Object.entries(contenders).map(([name, measure]) => [name, turnOf(measure)]);
  return interleave(Object.fromEntries(turns), rounds, {...longRun, of: fastest});
}

/** `script` once for every core type; `turns(contender)` are contenders of {@link interleave}, `best` reads their times. */
function startPeers(script) {
  const peers = Object.fromEntries(coreTypes().map((coreType) => [coreType, startTorch(script, coreType)]));
  const key = (contender, coreType) => `${contender}, ${coreType}`;
  return {
    turns: (contender) =>
      Object.fromEntries(Object.entries(peers).map(([type, {turn}]) => [key(contender, type), () => turn(contender)])),
    best: (contender, times) => {
      const entries = Object.keys(peers).map((type) => ({coreType: type, time: times[key(contender, type)]}));
      return entries.reduce((best, entry) => (entry.time < best.time ? entry : best));
    },
    close: () => {
      for (const {close} of Object.values(peers)) close();
    },
  };
}

const row = (what, network, engram, peer, time, limit) => ({
  what,
  network,
  engram,
  peer,
  time,
  ratio: engram / time,
  'at most': limit,
  load: load(),
});

async function trainingRows(rounds) {
  const rows = [];
  const torch = startPeers('training.py');
  try {
    for (const name of trained) {
      const {steps, dispose} = await trainingSteps(networks[name], 'native');
      const times = await interleavePeers({...steps, ...torch.turns(name)}, rounds);
      const {coreType, time} = torch.best(name, times);
      const peer = `PyTorch, ${coreType}`;
      rows.push(row('training step', networks[name].title, times.plain, peer, time, 1));
      rows.push(row("training step, Engram's SGD", networks[name].title, times.fused, peer, time, 1));
      dispose();
    }
  } finally {
    torch.close();
  }
  return rows;
}

async function consolidationRows(rounds) {
  const rows = [];
  const torch = startPeers('importance.py');
  const ways = {expert: 'hooks by an expert', vmap: 'vmap(grad)'};
  try {
    for (const name of consolidated) {
      const {contenders, dispose} = await consolidationContenders(networks[name]);
      const all = {...contenders};
      for (const way of Object.keys(ways)) Object.assign(all, torch.turns(`${name} ${way}`));
      const times = await interleavePeers(all, rounds);
      const add = (peer, time, limit) =>
        rows.push(row('consolidation', networks[name].title, times.consolidation, peer, time, limit));
      add("Engram's training step", times.step, most.step);
      for (const [way, title] of Object.entries(ways)) {
        const {coreType, time} = torch.best(`${name} ${way}`, times);
        add(`PyTorch ${title}, ${coreType}`, time, most[way]);
      }
      dispose();
    }
  } finally {
    torch.close();
  }
  return rows;
}

/** @returns rows {what, network, engram, peer, time, ratio, 'at most', load}, the fastest turns in milliseconds a batch */
export async function peers({rounds = 7} = {}) {
  if (!torchVersion()) return [];
  await tf.setBackend('native');
  return [...(await trainingRows(rounds)), ...(await consolidationRows(rounds))];
}

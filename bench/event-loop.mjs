/**
 * `node bench/event-loop.mjs`: what runAsync leaves of the event loop. For kernels on 4 Mi parameters and more, the
 * largest gap between two ticks of a 1 ms timer, and the time from an abort to the rejection. Ends with status 1 when a
 * gap exceeds 20 ms or an abort takes more than 50 ms. The processor of a busy machine is late by itself: each measure is
 * the best of five, which removes what does not repeat, and stands beside the gap of a loop that is idle as long.
 */
import {cpus, loadavg} from 'node:os';
import {bufferLength} from '../dist/kernels/check.js';
import {hostEngine} from '../dist/kernels/host.js';
import {row} from '../dist/kernels/table.js';

const limits = {gap: 20, abort: 50};
const size = 4 << 20;
/** Parameters of a row that are not given: no padding, and 1 of everything else. */
const complete = (kernel, given) => ({
  ...Object.fromEntries(Object.keys(row(kernel).params).map((name) => [name, name.startsWith('pad') ? 0 : 1])),
  ...given,
});
const adam = {rule: 'adam', penalty: 'proximal', size, slotCount: 2, nesterov: 0, correction1: 0.1, correction2: 0.1};
const conv = {phi: 'abs', inHeight: 512, inWidth: 512, outHeight: 512, outWidth: 512};
const calls = [
  ['fold, 4 Mi parameters', 'fold', {size}],
  ['Adam with penalty, 4 Mi parameters', 'penalized_step', adam],
  ['fold, 32 Mi parameters', 'fold', {size: 8 * size}],
  ['dense, 4 Mi parameters', 'grad_moment_dense', {phi: 'abs', samples: 16384, fanIn: 2048, fanOut: 2048}],
  ['dense, squared, 4 Mi parameters', 'grad_moment_dense', {phi: 'square', samples: 16384, fanIn: 2048, fanOut: 2048}],
  [
    'convolution 1x1 of small images',
    'grad_moment',
    {phi: 'abs', samples: 512, inHeight: 4, inWidth: 4, outHeight: 4, outWidth: 4, inChannels: 2048, fanOut: 2048},
  ],
  [
    'convolution of one large image',
    'grad_moment',
    {...conv, filterHeight: 17, filterWidth: 17, inChannels: 32, fanOut: 32},
  ],
];

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const allocate = (kernel, params) =>
  Object.fromEntries(
    Object.entries(row(kernel).buffers).map(([name, buffer]) => [
      name,
      new Float32Array(bufferLength(buffer, params)).fill(0.5),
    ]),
  );

/** The largest gap of a 1 ms timer while `work` goes on, and what it lasts. */
async function watch(work) {
  let last = performance.now();
  let gap = 0;
  const tick = () => {
    const now = performance.now();
    gap = Math.max(gap, now - last);
    last = now;
  };
  const timer = setInterval(tick, 1);
  const start = last;
  await work();
  const duration = performance.now() - start;
  tick();
  clearInterval(timer);
  return {gap, duration};
}

/** Milliseconds from an abort to the rejection; null if the kernel had ended before. */
async function abortAfter(milliseconds, kernel, params, arrays) {
  const stop = new AbortController();
  const call = engine.runAsync(kernel, params, arrays, {signal: stop.signal}).then(
    () => null,
    () => performance.now(),
  );
  await wait(milliseconds);
  const start = performance.now();
  stop.abort();
  const end = await call;
  return end === null ? null : Math.max(0, end - start);
}

const engine = hostEngine();
const worst = {gap: 0, abort: 0};
const load = loadavg()[0].toFixed(1);
console.log(`${engine.name} engine; load ${load} on ${cpus().length} cores\n`);
console.log(
  `${'call'.padEnd(40)}${'duration'.padStart(10)}${'idle'.padStart(8)}${'gap'.padStart(8)}${'abort'.padStart(8)}   (ms)`,
);
for (const [name, kernel, given] of calls) {
  const params = complete(kernel, given);
  const arrays = allocate(kernel, params);
  const rounds = [];
  const idleRounds = [];
  for (let round = 0; round < 5; round++) {
    rounds.push(await watch(() => engine.runAsync(kernel, params, arrays)));
    idleRounds.push(await watch(() => wait(rounds.at(-1).duration)));
  }
  const gap = Math.min(...rounds.map((round) => round.gap));
  const idle = Math.min(...idleRounds.map((round) => round.gap));
  const duration = Math.min(...rounds.map((round) => round.duration));
  let abort = 0;
  for (const part of [0.1, 0.3, 0.5, 0.7]) {
    const delays = [];
    for (let round = 0; round < 5; round++) delays.push(await abortAfter(part * duration, kernel, params, arrays));
    const inTime = delays.filter((delay) => delay !== null); // the others were over, and resolved
    if (inTime.length > 0) abort = Math.max(abort, Math.min(...inTime));
  }
  const columns = [
    duration.toFixed(0).padStart(10),
    idle.toFixed(1).padStart(8),
    gap.toFixed(1).padStart(8),
    abort.toFixed(1).padStart(8),
  ];
  console.log(name.padEnd(40) + columns.join(''));
  worst.gap = Math.max(worst.gap, gap);
  worst.abort = Math.max(worst.abort, abort);
}
for (const [what, limit] of Object.entries(limits)) {
  if (worst[what] <= limit) continue;
  console.error(`\nlargest ${what} ${worst[what].toFixed(1)} ms: more than ${limit} ms`);
  process.exitCode = 1;
}

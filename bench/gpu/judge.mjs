/** The ratios that the GPU engine is held to, from the figures of one run: met, missed, or not measured and why. */

/** What is compared; `value(results)` is a number, or throws NotMeasured. */
const rules = [
  ...['resnet18_32', 'resnet18_224', 'alexnet', 'vit'].map((network, i) => ({
    what: `Omega in fp32 / expert PyTorch in fp32, ${network}`,
    atMost: [0.55, 0.75, 0.9, 1.1][i],
    value: (results) => omegaRatio(results, network, 'f32', false),
  })),
  ...['alexnet', 'resnet18_224'].map((network) => ({
    what: `Omega in f16 / expert PyTorch in TF32, ${network}`,
    atMost: 0.8,
    value: (results) => omegaRatio(results, network, 'f16', true),
  })),
  ...['mlp', 'cnn', 'alexnet', 'resnet18_32'].flatMap((network) => [
    {
      what: `consolidation / vmap(grad) of PyTorch, ${network}`,
      atMost: 0.33,
      value: (results) => passRatio(results, network, 'vmap'),
    },
    {
      what: `consolidation / Opacus-style hooks of PyTorch, ${network}`,
      atMost: 0.33,
      value: (results) => passRatio(results, network, 'opacus'),
    },
    {
      what: `consolidation / batch-of-one loop of PyTorch, ${network}`,
      atMost: 0.02,
      value: (results) => passRatio(results, network, 'loop'),
    },
    {
      what: `consolidation / our training step, ${network}`,
      atMost: 1.15,
      value: ({passes}) => find(passes, {network}, 'passes')((row) => row.ratio),
    },
  ]),
  ...['alexnet', 'resnet18_32', 'vit'].flatMap((network) =>
    Object.entries({sgd: 0.55, momentum: 0.65, adam: 0.72}).flatMap(([rule, atMost]) => [
      {
        what: `penalized ${rule} step / fused PyTorch with addcmul_, ${network}`,
        atMost,
        value: (results) => stepRatio(results, network, rule),
      },
      {
        what: `penalized ${rule} step, share of copy bandwidth, ${network}`,
        atLeast: 0.85,
        value: ({steps}) => find(steps, {network, rule, way: 'by variable'}, 'steps')((row) => row.copyShare),
      },
    ]),
  ),
  ...['resnet18_32', 'resnet18_224'].map((network) => ({
    what: `gradients of filters / those of tfjs, ${network}`,
    atMost: 0.2,
    value: ({gradients}) => {
      const rows = rowsOf(gradients, 'gradients').filter((row) => row.network === network);
      if (rows.length === 0) throw new NotMeasured('no rows of gradients');
      return total(rows, 'ours') / total(rows, 'theirs');
    },
  })),
];

/** Not there, so nothing to compare; the message is what the table says. */
class NotMeasured extends Error {}

function rowsOf(part, name) {
  if (!part) throw new NotMeasured(`the part ${name} did not run`);
  if (part.error && !(part.rows?.length > 0)) throw new NotMeasured(`${name}: ${part.error}`);
  return part.rows;
}

/** Peers' rows, or the reason why there are none. */
function peersOf({peers}, list) {
  if (!peers) throw new NotMeasured('the part peers did not run');
  if (peers.error ?? peers.missing) throw new NotMeasured(`no peer: ${peers.error ?? peers.missing}`);
  if (!peers[list]) throw new NotMeasured(`peers.py: ${peers.errors?.[list] ?? `no ${list}`}`);
  return peers[list];
}

const matching = (rows, wanted) =>
  rows.find((row) => Object.entries(wanted).every(([name, value]) => row[name] === value));

const find = (part, wanted, name) => (figure) => {
  const row = matching(rowsOf(part, name), wanted);
  if (!row) throw new NotMeasured(`no row of ${name} for ${Object.values(wanted).join(', ')}`);
  const value = figure(row);
  if (value === undefined || value === null) throw new NotMeasured(row.note ?? `no figure in ${name}`);
  return value;
};

const total = (rows, figure) => rows.reduce((sum, row) => sum + row.count * row[figure], 0);

/** Milliseconds a sample for all matrices of a network, those without kernels of the precision in f32. */
function omegaPerSample(rows, network, precision) {
  const own = rows.filter((row) => row.network === network && row.weight);
  if (own.length === 0) throw new NotMeasured(`no kernels of ${network}`);
  if (!own.some((row) => row.precision === precision)) throw new NotMeasured(`the engine has no ${precision} here`);
  const chosen = own.filter(
    (row) =>
      row.precision === precision ||
      !own.some((other) => other.layer === row.layer && other.L === row.L && other.precision === precision),
  );
  return chosen.reduce((sum, {count, ms, B}) => sum + (count * ms) / B, 0);
}

function omegaRatio(results, network, precision, tf32) {
  const ours = omegaPerSample(rowsOf(results.kernels, 'kernels'), network, precision);
  const theirs = peersOf(results, 'layers').filter((row) => row.network === network && row.tf32 === tf32);
  if (theirs.length === 0) throw new NotMeasured(`no peer for ${network}`);
  const open = theirs.find(({ms}) => ms === null);
  if (open) throw new NotMeasured(`${open.layer}: ${open.note}`);
  return ours / theirs.reduce((sum, {count, ms, B}) => sum + (count * ms) / B, 0);
}

/** A pass over a whole network; PyTorch counts with the faster of TF32 on and off. */
function passRatio(results, network, way) {
  const ours = find(results.passes, {network}, 'passes')((row) => row.consolidation / row.B);
  const rows = peersOf(results, 'passes').filter(
    (row) => row.network === network && row.way === way && row.ms !== null,
  );
  if (rows.length === 0) throw new NotMeasured(`no peer for ${network}`);
  return ours / Math.min(...rows.map(({ms, B}) => ms / B));
}

function stepRatio(results, network, rule) {
  const ours = find(results.steps, {network, rule, way: 'by variable'}, 'steps')((row) => row.ms);
  const peer = matching(peersOf(results, 'steps'), {network, rule});
  if (!peer || peer.ms === null) throw new NotMeasured(peer?.note ?? `no peer for ${network}`);
  if (peer.note) throw new NotMeasured(`the peer is ${peer.note}`);
  return ours / peer.ms;
}

/** Why figures of this run are none to be held to a limit, or null. */
function unfit({gpu, options, peers}) {
  if (options?.quick) return 'sizes of --quick';
  if (gpu?.software) return 'the adapter is software';
  if (peers?.device === 'cpu') return 'PyTorch ran on the CPU';
  return null;
}

/** @returns [{what, limit, value: number or null, status: 'met' | 'missed' | 'not measured', why}] */
export function judge(results) {
  const unusable = unfit(results);
  return rules.map(({what, atMost, atLeast, value}) => {
    const limit = atMost === undefined ? `>= ${atLeast}` : `<= ${atMost}`;
    let measured = null;
    try {
      measured = value(results);
    } catch (error) {
      if (!(error instanceof NotMeasured)) throw error;
      return {what, limit, value: null, status: 'not measured', why: error.message};
    }
    if (unusable) return {what, limit, value: measured, status: 'not measured', why: unusable};
    const met = atMost === undefined ? measured >= atLeast : measured <= atMost;
    return {what, limit, value: measured, status: met ? 'met' : 'missed', why: ''};
  });
}

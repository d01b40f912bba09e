/** The layers of an architecture as calls of the kernel table: parameters, operations, least traffic, how often. */
import {flatDepth, table} from '../../dist/kernels/table.js';

const outSize = (size, {kernel, stride, pad}) => Math.floor((size + 2 * pad - kernel) / stride) + 1;

const convParams = ([height, width, channels], layer) => ({
  ...flatDepth,
  phi: 'abs',
  uses: 1,
  inHeight: height,
  inWidth: width,
  inChannels: channels,
  filterHeight: layer.kernel,
  filterWidth: layer.kernel,
  outHeight: outSize(height, layer),
  outWidth: outSize(width, layer),
  fanOut: layer.out,
  strideHeight: layer.stride,
  strideWidth: layer.stride,
  dilationHeight: 1,
  dilationWidth: 1,
  padTop: layer.pad,
  padLeft: layer.pad,
});

/** A weight of rows, as tokens are: an image of one pixel's height under a filter of one pixel. */
const rowsParams = (rows, fanIn, fanOut) => convParams([1, rows, fanIn], {kernel: 1, stride: 1, pad: 0, out: fanOut});

/** Calls that each operation makes, and the shape of what it gives; calls are {name, kernel, params}. */
const operations = {
  conv(shape, layer) {
    const params = convParams(shape, layer);
    const out = [params.outHeight, params.outWidth, layer.out];
    const size = `${layer.kernel}x${layer.kernel}${layer.stride > 1 ? `/${layer.stride}` : ''}`;
    const calls = [{name: `conv ${size} ${shape[2]}>${layer.out}`, kernel: 'grad_moment', params}];
    if (layer.bias) calls.push(sum('bias', out, 0));
    return {out, calls};
  },
  dense(shape, layer) {
    const fanIn = shape.at(-1);
    const name = `dense ${fanIn}>${layer.out}`;
    const out = [...shape.slice(0, -1), layer.out];
    const weight =
      shape.length === 1
        ? {name, kernel: 'grad_moment_dense', params: {phi: 'abs', fanIn, fanOut: layer.out}}
        : {name, kernel: 'grad_moment', params: rowsParams(shape[0], fanIn, layer.out)};
    return {out, calls: [weight, sum('bias', out, 0)]};
  },
  norm: (shape) => ({out: shape, calls: [sum('scale', shape, 1), sum('shift', shape, 0)]}),
  block(shape, {out, stride}) {
    const conv = (kernel, ownStride) => ({
      op: 'conv',
      out,
      kernel,
      stride: ownStride,
      pad: (kernel - 1) >> 1,
      bias: false,
    });
    const norm = {op: 'norm'};
    const main = walk(shape, [conv(3, stride), norm, {op: 'relu'}, conv(3, 1), norm]);
    const shortcut = stride > 1 || shape[2] !== out ? walk(shape, [conv(1, stride), norm]).calls : [];
    return {out: main.out, calls: [...main.calls, ...shortcut]};
  },
  encoder(shape, {hidden}) {
    const width = shape.at(-1);
    const product = (fanIn, out) => operations.dense([shape[0], fanIn], {out});
    const products = [product(width, 3 * width), product(width, width), product(width, hidden), product(hidden, width)];
    return {out: shape, calls: products.flatMap(({calls}) => calls)};
  },
  relu: (shape) => ({out: shape, calls: []}),
  pool: ([height, width, channels], {size, stride, pad}) => {
    const window = {kernel: size, stride, pad};
    return {out: [outSize(height, window), outSize(width, window), channels], calls: []};
  },
  average: (shape) => ({out: [shape[2]], calls: []}),
  flatten: (shape) => ({out: [shape.reduce((a, b) => a * b)], calls: []}),
  tokens: ([height, width, channels], {extra}) => ({out: [height * width + extra, channels], calls: []}),
  'first token': (shape) => ({out: [shape[1]], calls: []}),
};

function sum(name, shape, scaled) {
  const fanOut = shape.at(-1);
  const positions = shape.slice(0, -1).reduce((a, b) => a * b, 1);
  return {name: `${name} ${fanOut}`, kernel: 'grad_moment_sum', params: {phi: 'abs', positions, fanOut, scaled}};
}

function walk(shape, layers) {
  const calls = [];
  let out = shape;
  for (const layer of layers) {
    const step = operations[layer.op](out, layer);
    out = step.out;
    calls.push(...step.calls);
  }
  return {out, calls};
}

/**
 * The distinct calls for a batch of an architecture, in the order in which the layers first meet them.
 *
 * @returns [{name, kernel, weight: whether it is a matrix and not a bias or scale, count, params, L, P, Q, parameters,
 *   flops, bytes}], flops and bytes for one of them; bytes are operands read once, and the moment read and written
 */
export function layersOf({input, layers}, samples) {
  const rows = new Map();
  for (const {name, kernel, params: sizes} of walk(input, layers).calls) {
    const params = {...sizes, samples};
    const key = JSON.stringify([kernel, params]);
    const known = rows.get(key);
    if (known) known.count++;
    else rows.set(key, {name, kernel, count: 1, params, ...figures(kernel, params)});
  }
  return [...rows.values()];
}

function figures(kernel, params) {
  const elements = (buffer) => table[kernel].buffers[buffer].length.reduce((n, size) => n * params[size], 1);
  const parameters = elements('moment');
  return {
    weight: kernel !== 'grad_moment_sum',
    L: params.positions ?? (kernel === 'grad_moment' ? params.outHeight * params.outWidth : 1),
    P: parameters / params.fanOut,
    Q: params.fanOut,
    parameters,
    flops: table[kernel].flops(params),
    bytes: 4 * (elements('activations') + elements('deltas') + 2 * parameters),
  };
}

/** Parameters and operations of an architecture's matrices, without biases and scales. */
export function totals(architecture, samples) {
  const weights = layersOf(architecture, samples).filter(({weight}) => weight);
  const total = (figure) => weights.reduce((all, row) => all + row.count * row[figure], 0);
  return {parameters: total('parameters'), flops: total('flops'), bytes: total('bytes')};
}

/** Sizes of all variables of an architecture, biases and scales among them. */
export function variableSizes(architecture) {
  return layersOf(architecture, 1).flatMap(({count, parameters}) => new Array(count).fill(parameters));
}

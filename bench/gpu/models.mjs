/** The architectures as networks of tf.layers, with random weights. */
import * as tfl from '@tensorflow/tfjs-layers';

const {layers} = tfl;

/** A convolution padded as PyTorch pads it; where "same" does that too, no padding of its own is needed. */
function convolve(x, {out, kernel, stride, pad, bias}) {
  const same = pad === (kernel - 1) >> 1 && (stride === 1 || x.shape[1] % stride === 0);
  const padded = same || pad === 0 ? x : layers.zeroPadding2d({padding: pad}).apply(x);
  const padding = same ? 'same' : 'valid';
  return layers.conv2d({filters: out, kernelSize: kernel, strides: stride, padding, useBias: bias}).apply(padded);
}

const norm = (x) => layers.batchNormalization({axis: -1}).apply(x);
const relu = (x) => layers.reLU().apply(x);

const apply = {
  conv: convolve,
  norm,
  relu,
  dense: (x, {out}) => layers.dense({units: out}).apply(x),
  pool: (x, {size, stride, pad}) =>
    layers.maxPooling2d({poolSize: size, strides: stride, padding: pad > 0 ? 'same' : 'valid'}).apply(x),
  average: (x) => layers.globalAveragePooling2d({}).apply(x),
  flatten: (x) => layers.flatten().apply(x),
  block(x, {out, stride}) {
    const conv = (from, kernel, strides) =>
      norm(convolve(from, {out, kernel, stride: strides, pad: (kernel - 1) >> 1, bias: false}));
    const main = conv(relu(conv(x, 3, stride)), 3, 1);
    const shortcut = stride > 1 || x.shape[3] !== out ? conv(x, 1, stride) : x;
    return relu(layers.add().apply([main, shortcut]));
  },
};

/** @throws for a transformer, of which the benchmark has only the matrix products */
export function modelOf({input, layers: list}) {
  const x = tfl.input({shape: input});
  let y = x;
  for (const layer of list) {
    const build = apply[layer.op];
    if (!build) throw new Error(`no tf.layers model has the operation ${layer.op}`);
    y = build(y, layer);
  }
  return tfl.model({inputs: x, outputs: layers.softmax().apply(y)});
}

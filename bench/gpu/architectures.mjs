/**
 * The networks of the GPU benchmark, each written once: shapes.mjs takes its layers from here, models.mjs builds it for
 * TensorFlow.js, and peers.py builds it for PyTorch from the same JSON.
 *
 * Operations: conv, dense, norm (batch normalisation), relu, pool, average (over the image), flatten, block (two 3x3
 * convolutions around which the input goes), encoder (the matrix products of a transformer's layer), tokens, first token.
 */
const conv = (out, kernel, {stride = 1, pad = (kernel - 1) >> 1, bias = true} = {}) => ({
  op: 'conv',
  out,
  kernel,
  stride,
  pad,
  bias,
});
const dense = (out) => ({op: 'dense', out, bias: true});
const relu = {op: 'relu'};
const pool = (size, stride, pad = 0) => ({op: 'pool', size, stride, pad});
const flatten = {op: 'flatten'};

/** The layers of torchvision's, without its average pooling, which does nothing to images of 224 x 224. */
function alexnet({thin, size = 224}) {
  const [c, units] = [(n) => n / thin, 4096 / thin];
  const stages = [
    [conv(c(64), 11, {stride: 4, pad: 2}), relu, pool(3, 2)],
    [conv(c(192), 5), relu, pool(3, 2)],
    [conv(c(384), 3), relu, conv(c(256), 3), relu, conv(c(256), 3), relu, pool(3, 2)],
  ];
  const head = [flatten, dense(units), relu, dense(units), relu, dense(1000 / thin)];
  return {input: [size, size, 3], layers: [...stages.flat(), ...head]};
}

/** ResNet-18; images of 32 x 32 get a stem of 3 x 3 that keeps their size. */
function resnet18({thin, size, classes}) {
  const plain = {bias: false};
  const stem =
    size === 32
      ? [conv(64 / thin, 3, plain), {op: 'norm'}, relu]
      : [conv(64 / thin, 7, {stride: 2, ...plain}), {op: 'norm'}, relu, pool(3, 2, 1)];
  const blocks = [64, 128, 256, 512].flatMap((out, stage) => [
    {op: 'block', out: out / thin, stride: stage === 0 ? 1 : 2},
    {op: 'block', out: out / thin, stride: 1},
  ]);
  return {input: [size, size, 3], layers: [...stem, ...blocks, {op: 'average'}, dense(classes)]};
}

function vit({thin, size = 224}) {
  const width = 768 / thin;
  const encoders = Array.from({length: 12}, () => ({op: 'encoder', hidden: 4 * width}));
  const patches = [conv(width, 16, {stride: 16, pad: 0}), {op: 'tokens', extra: 1}];
  return {input: [size, size, 3], layers: [...patches, ...encoders, {op: 'first token'}, dense(1000 / thin)]};
}

const mlp = ({thin}) => ({
  input: [784],
  layers: [dense(1024 / thin), relu, dense(1024 / thin), relu, dense(10)],
});

const cnn = ({thin}) => ({
  input: [28, 28, 1],
  layers: [
    ...[conv(32 / thin, 5), relu, pool(2, 2), conv(64 / thin, 5), relu, pool(2, 2)],
    ...[flatten, dense(512 / thin), relu, dense(10)],
  ],
});

/**
 * Networks by name. With `quick` they have an eighth of the channels and small images, for adapters in software.
 *
 * @returns by name title, input and layers, all of it JSON
 */
export function architectures({quick = false} = {}) {
  const thin = quick ? 8 : 1;
  const small = quick ? 64 : 224;
  const title = (name) => (quick ? `${name}, an eighth as wide` : name);
  return {
    alexnet: {title: title(`AlexNet ${small}`), ...alexnet({thin, size: small})},
    resnet18_32: {title: title('ResNet-18 32'), ...resnet18({thin, size: 32, classes: 10})},
    resnet18_224: {title: title(`ResNet-18 ${small}`), ...resnet18({thin, size: small, classes: 1000 / thin})},
    vit: {title: title(`ViT-B/16 ${small}`), ...vit({thin, size: small})},
    mlp: {title: title('MLP 784-1024-1024-10'), ...mlp({thin})},
    cnn: {title: title('CNN 32-64-512'), ...cnn({thin})},
  };
}

/** Those whose kernels are measured layer by layer. */
export const tabled = ['alexnet', 'resnet18_32', 'resnet18_224', 'vit', 'mlp'];
/** Those that are trained and consolidated as a whole; for ViT there are only the matrix products. */
export const whole = ['mlp', 'cnn', 'alexnet', 'resnet18_32'];

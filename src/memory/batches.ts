/** Turns whatever data a user has into batches of samples: tensors, arrays, tf.data.Dataset, (async) iterables. */
import * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';

/** One batch: a tensor `[B, ...]`, or one such tensor per network input. */
export type Inputs = tf.Tensor | tf.Tensor[];

/** Nested numbers, as `tf.tensor` takes them. */
type NestedArray = number[] | NestedArray[];
/** One tensor per input by the input's name, as `model.fit` and data sets for networks of several inputs have it. */
type NamedInputs = {[inputName: string]: tf.Tensor};
/** A batch as iterables and data sets give it; of `{xs, ys}` only `xs` is used, since importance needs no labels. */
export type BatchLike = Inputs | NamedInputs | NestedArray | {xs: Inputs | NamedInputs; ys?: unknown};
/** The part of `tf.data.Dataset` that is used. */
interface DatasetLike {
  iterator(): Promise<{next(): Promise<{value: unknown; done?: boolean | undefined}>}>;
}
/**
 * Unlabelled samples: a tensor `[N, ...]` (for a network of several inputs a list of them, or an object by the inputs'
 * names), a nested array, a `tf.data.Dataset` of batches, or a sync or async iterable of batches.
 */
export type Samples = Inputs | NamedInputs | NestedArray | DatasetLike | AsyncIterable<BatchLike> | Iterable<BatchLike>;

export interface Batch {
  readonly x: Inputs;
  readonly samples: number;
  dispose(): void;
}

const isTensors = (value: unknown): value is tf.Tensor[] =>
  Array.isArray(value) && value.length > 0 && value.every((item) => item instanceof tf.Tensor);
const isInputs = (value: unknown): value is Inputs => value instanceof tf.Tensor || isTensors(value);
const isDataset = (value: object): value is DatasetLike => typeof (value as DatasetLike).iterator === 'function';
const isNamed = (value: unknown): value is NamedInputs =>
  typeof value === 'object' && value !== null && !isInputs(value) && isTensors(Object.values(value));
const listOf = (x: Inputs): tf.Tensor[] => (Array.isArray(x) ? x : [x]);

/** Number of samples if it is known before the data is read. */
export function totalSamples(data: Samples): number | undefined {
  if (isInputs(data)) return listOf(data)[0].shape[0];
  if (isNamed(data)) return Object.values(data)[0].shape[0];
  return Array.isArray(data) ? data.length : undefined;
}

/**
 * Reads `data` in batches of at most `batchSize`. The caller disposes every batch. Tensors that the user owns (passed
 * directly or yielded by an iterable) are never disposed; elements of a `tf.data.Dataset` are, as `fitDataset` does.
 *
 * @param inputShapes per input, the shape with `null` for the batch axis and unknown sizes; checked if given
 * @param inputNames names of the inputs in their order, for data that come by name
 * @throws EngramError SHAPE, DTYPE or ARGUMENT
 */
export async function* batches(
  data: Samples,
  batchSize: number,
  inputShapes?: readonly (readonly (number | null)[])[],
  inputNames?: readonly string[],
): AsyncGenerator<Batch> {
  if (!Number.isSafeInteger(batchSize) || batchSize < 1) {
    throw new EngramError('ARGUMENT', {
      expected: 'batchSize to be a whole number of at least 1',
      received: String(batchSize),
      remedy: 'Leave it out for the default of 64.',
    });
  }
  if (isInputs(data) || isNamed(data)) {
    yield* fromElement(data, batchSize, inputShapes, inputNames);
  } else if (Array.isArray(data) && isNumbers(data)) {
    yield* fromArray(data, batchSize, inputShapes);
  } else if (typeof data === 'object' && data !== null && isDataset(data)) {
    const iterator = await data.iterator();
    for (let item = await iterator.next(); !item.done; item = await iterator.next()) {
      try {
        yield* fromElement(item.value, batchSize, inputShapes, inputNames);
      } finally {
        tf.dispose(item.value as tf.TensorContainer);
      }
    }
  } else if (typeof data === 'object' && data !== null && (Symbol.asyncIterator in data || Symbol.iterator in data)) {
    for await (const element of data as AsyncIterable<BatchLike>) {
      yield* fromElement(element, batchSize, inputShapes, inputNames);
    }
  } else {
    throw unusable(data);
  }
}

function isNumbers(data: unknown): data is NestedArray {
  let inner = data;
  while (Array.isArray(inner) && inner.length > 0) inner = inner[0];
  return typeof inner === 'number' || (Array.isArray(inner) && inner.length === 0);
}

function* fromElement(
  element: unknown,
  batchSize: number,
  inputShapes: readonly (readonly (number | null)[])[] | undefined,
  inputNames: readonly string[] | undefined,
): Generator<Batch> {
  // A network may have an input that is itself called xs: then the element is its inputs.
  const x = inputNames?.includes('xs') ? element : ((element as {xs?: unknown} | null)?.xs ?? element);
  if (isInputs(x)) yield* split(x, batchSize, inputShapes);
  else if (isNamed(x)) yield* split(inOrder(x, inputNames), batchSize, inputShapes);
  else if (Array.isArray(x) && isNumbers(x)) yield* fromArray(x, batchSize, inputShapes);
  else throw unusable(x);
}

function inOrder(x: NamedInputs, inputNames: readonly string[] | undefined): Inputs {
  const names = Object.keys(x);
  if (!inputNames || inputNames.length !== names.length || inputNames.some((name) => !(name in x))) {
    throw new EngramError('ARGUMENT', {
      expected: inputNames ? `inputs by the names ${inputNames.join(', ')}` : 'inputs as a tensor or a list of tensors',
      received: `an object of ${names.join(', ')}`,
      remedy: 'Name every input of a tf.LayersModel as model.inputNames does; other networks take tensors or a list.',
    });
  }
  const list = inputNames.map((name) => x[name]);
  return list.length === 1 ? list[0] : list;
}

function* fromArray(
  data: NestedArray,
  batchSize: number,
  inputShapes: readonly (readonly (number | null)[])[] | undefined,
): Generator<Batch> {
  if (data.length === 0) return;
  const x = tf.tensor(data as number[][], undefined, 'float32');
  try {
    yield* split(x, batchSize, inputShapes);
  } finally {
    x.dispose();
  }
}

/** Slices inputs along the sample axis; a batch that is already small enough is passed through uncopied. */
function* split(
  x: Inputs,
  batchSize: number,
  inputShapes: readonly (readonly (number | null)[])[] | undefined,
): Generator<Batch> {
  const inputs = listOf(x);
  check(inputs, inputShapes);
  const total = inputs[0].shape[0];
  for (let start = 0; start < total; start += batchSize) {
    const samples = Math.min(batchSize, total - start);
    const sliced = inputs.map((input) =>
      samples === total ? input.clone() : tf.slice(input, [start], [samples, ...input.shape.slice(1)]),
    );
    yield {x: Array.isArray(x) ? sliced : sliced[0], samples, dispose: () => tf.dispose(sliced)};
  }
}

function check(inputs: tf.Tensor[], inputShapes: readonly (readonly (number | null)[])[] | undefined): void {
  const samples = inputs[0].shape[0];
  for (const [i, input] of inputs.entries()) {
    if (input.isDisposed) {
      throw new EngramError('DISPOSED', {
        expected: `data of input ${i} in use`,
        received: 'a disposed tensor',
        remedy: 'Dispose data only after the call has settled.',
      });
    }
    if (input.dtype !== 'float32' && input.dtype !== 'int32') {
      throw new EngramError('DTYPE', {
        expected: `data of input ${i} to be float32 or int32`,
        received: input.dtype,
        remedy: 'Cast it with tf.cast(x, "float32").',
      });
    }
    const wanted = inputShapes?.[i];
    const fits =
      input.rank > 0 &&
      input.shape[0] === samples &&
      (!wanted ||
        (wanted.length === input.rank && wanted.every((size, axis) => size === null || size === input.shape[axis])));
    if (!fits || (inputShapes && inputShapes.length !== inputs.length)) {
      throw new EngramError('SHAPE', {
        expected: inputShapes
          ? `data of shape ${inputShapes.map((s) => `[${s.map((n) => n ?? 'N').join(', ')}]`).join(' and ')}`
          : 'every input to have the same number of samples on its first axis',
        received: inputs.map((t) => `[${t.shape.join(', ')}]`).join(' and '),
        remedy: 'The first axis is the sample axis; reshape or add it with tf.expandDims(x, 0).',
      });
    }
  }
}

function unusable(data: unknown): EngramError {
  return new EngramError('ARGUMENT', {
    expected: 'samples as a tensor, a nested array of numbers, a tf.data.Dataset or an iterable of batches',
    received: data === null ? 'null' : Array.isArray(data) ? 'an array of something else' : typeof data,
    remedy: 'Pass the inputs of the network; labels are not needed.',
  });
}

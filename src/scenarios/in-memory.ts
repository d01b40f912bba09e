/** Reads samples once and for all: into memory as their task shows them, or through once for their statistics. */
import {type ImagesInMemory, imagesInMemory} from './images.js';
import {allOf, inputsOf, type Samples, type TaskSequence} from './sequences.js';
import {type ChannelStatistics, normalisedView} from './views.js';

/** Images read at a time where all are read one after the other. */
const BATCH = 256;

/**
 * The samples' images in memory, in the order of the indices, with the view applied; labels and classes are the set's.
 * `{...samples, images: await materialise(samples), indices: 0..count-1, view: undefined}` is the same, and faster to read.
 *
 * @throws EngramError DATA_FILE
 */
export async function materialise(samples: Samples): Promise<ImagesInMemory> {
  const {images, indices} = samples;
  const {height, width, channels, classes} = images;
  const pixels = new Float32Array(indices.length * height * width * channels);
  await inBatches(samples, (inputs, at) => pixels.set(inputs, at));
  const labels = Uint16Array.from(indices, (index) => images.labels[index]);
  return imagesInMemory({pixels, labels, count: indices.length, height, width, channels, classes});
}

/**
 * The sequence with every task's images in memory as it shows them: a copy for each task, however much they share.
 *
 * @throws EngramError DATA_FILE
 */
export async function materialiseSequence(sequence: TaskSequence): Promise<TaskSequence> {
  const copy = async (samples: Samples): Promise<Samples> => {
    const {firstClass} = samples;
    return {...allOf(await materialise(samples)), ...(firstClass !== undefined && {firstClass})};
  };
  const tasks = [];
  for (const task of sequence.tasks) tasks.push({...task, train: await copy(task.train), test: await copy(task.test)});
  return {...sequence, tasks};
}

/**
 * Mean and standard deviation of each channel over all pixels of the samples, as their task shows them.
 *
 * @throws EngramError DATA_FILE
 */
export async function channelStatistics(samples: Samples): Promise<ChannelStatistics> {
  const {channels} = samples.images;
  const [sums, squares] = [new Float64Array(channels), new Float64Array(channels)];
  let count = 0;
  await inBatches(samples, (inputs) => {
    for (let i = 0; i < inputs.length; i++) {
      sums[i % channels] += inputs[i];
      squares[i % channels] += inputs[i] * inputs[i];
    }
    count += inputs.length / channels;
  });
  const mean = Array.from(sums, (sum) => sum / count);
  // In double precision, with values of 0..1, the difference of squares is exact enough.
  const std = mean.map((m, c) => Math.sqrt(Math.max(0, squares[c] / count - m * m)));
  return {mean, std};
}

/**
 * The sequence with every channel of every task normalised in the same way. A learner that is to know nothing of later
 * tasks takes the statistics of the first task's training images.
 *
 * @throws EngramError ARGUMENT for statistics of another number of channels, or a deviation of 0
 */
export function normalised(sequence: TaskSequence, statistics: ChannelStatistics): TaskSequence {
  const last = normalisedView(statistics, sequence.channels);
  const shown = (samples: Samples): Samples => {
    const {view} = samples;
    return {...samples, view: view ? (pixels) => last(view(pixels)) : last};
  };
  const tasks = sequence.tasks.map((task) => ({...task, train: shown(task.train), test: shown(task.test)}));
  return {...sequence, tasks};
}

async function inBatches(samples: Samples, use: (inputs: Float32Array, at: number) => void): Promise<void> {
  let at = 0;
  for (let start = 0; start < samples.indices.length; start += BATCH) {
    const inputs = await inputsOf({...samples, indices: samples.indices.subarray(start, start + BATCH)});
    use(inputs, at);
    at += inputs.length;
  }
}

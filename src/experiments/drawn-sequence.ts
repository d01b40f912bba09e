/** Sequences that take long to draw are drawn once for a seed and kept beside the runs, whose processes share them. */
import {existsSync} from 'node:fs';
import {mkdir, readFile, rm} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {pathToFileURL} from 'node:url';
import {writeWhole} from '../memory/node-file.js';
import {floatsOf, readSafetensors, writeSafetensors} from '../memory/safetensors.js';
import {imagesInMemory} from '../scenarios/images.js';
import {allOf, inputsOf, labelsOf, type Samples, type TaskSequence} from '../scenarios/sequences.js';
import {makeSequence, type SequenceSource, type SequenceSpec} from './sequence.js';

const folderIn = (results: string) => join(results, 'drawn');

/**
 * {@link makeSequence}; of sequences that are rendered the second call for a seed reads what the first one drew.
 *
 * @param results folder of the experiment's results
 * @throws as {@link makeSequence}
 */
export async function drawnSequence(
  spec: SequenceSpec,
  seed: number,
  source: SequenceSource,
  results: string,
): Promise<TaskSequence> {
  const make = () => makeSequence(spec, seed, source);
  return spec.kind === 'eight-tasks' ? kept(join(folderIn(results), `seed-${seed}.safetensors`), make) : make();
}

/** What `make` gives, from the file where there is one. Two processes may make it at once: the file is replaced whole. */
export async function kept(file: string, make: () => Promise<TaskSequence>): Promise<TaskSequence> {
  if (existsSync(file)) return decode(await readFile(file));
  const sequence = await make();
  await mkdir(dirname(file), {recursive: true});
  await writeWhole(pathToFileURL(file), await encode(sequence));
  return sequence;
}

/** Deletes what was drawn, once all runs are done. */
export async function forgetDrawn(results: string): Promise<void> {
  await rm(folderIn(results), {recursive: true, force: true});
}

/** Every task's images as they are shown: `task N.train` and `task N.test`, `[count, height, width, channels]`. */
async function encode({tasks, ...rest}: TaskSequence): Promise<Uint8Array> {
  const tensors = new Map<string, {shape: number[]; values: Float32Array}>();
  const described = [];
  for (const [i, {name, classes, train, test}] of tasks.entries()) {
    const labels: Record<string, number[]> = {};
    for (const [part, samples] of Object.entries({train, test})) {
      const {height, width, channels} = samples.images;
      const values = await inputsOf(samples);
      tensors.set(`task ${i}.${part}`, {
        shape: [values.length / (height * width * channels), height, width, channels],
        values,
      });
      labels[part] = [...labelsOf(samples)];
    }
    described.push({name, classes, labels});
  }
  return writeSafetensors(tensors, new Map([['sequence', JSON.stringify({...rest, tasks: described})]]));
}

function decode(bytes: Uint8Array): TaskSequence {
  const {metadata, tensors} = readSafetensors(bytes);
  const {tasks, ...rest} = JSON.parse(metadata.get('sequence') ?? '{}');
  const samples = (name: string, classes: string[], labels: number[]): Samples => {
    const raw = tensors.get(name)!;
    const [count, height, width, channels] = raw.shape;
    const pixels = floatsOf(name, raw);
    return allOf(imagesInMemory({pixels, labels: Uint16Array.from(labels), count, height, width, channels, classes}));
  };
  return {
    ...rest,
    tasks: tasks.map(({name, classes, labels}: StoredTask, i: number) => ({
      name,
      classes,
      train: samples(`task ${i}.train`, classes, labels.train),
      test: samples(`task ${i}.test`, classes, labels.test),
    })),
  };
}

interface StoredTask {
  readonly name: string;
  readonly classes: string[];
  readonly labels: {readonly train: number[]; readonly test: number[]};
}

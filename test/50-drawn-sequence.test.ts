/** A sequence that was drawn once is read by the other processes of an experiment as it was drawn. */
import {createHash} from 'node:crypto';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, it} from 'vitest';
import {kept} from '../dist/experiments/drawn-sequence.js';
import {loadDigits} from '../dist/scenarios/digits.js';
import {inputsOf, labelsOf, permutedTasks, splitTasks, type TaskSequence} from '../dist/scenarios/sequences.js';

const digest = (values: Float32Array) => createHash('sha256').update(values).digest('hex');
/** Everything that a learner sees of a sequence. */
const seen = async ({tasks, ...rest}: TaskSequence) => ({
  ...rest,
  tasks: await Promise.all(
    tasks.map(async ({name, classes, train, test}) => ({
      name,
      classes,
      inputs: [digest(await inputsOf(train)), digest(await inputsOf(test))],
      labels: [labelsOf(train), labelsOf(test)],
      shape: [train.images.height, train.images.width, train.images.channels],
    })),
  ),
});

it('is drawn once, and read as it was drawn: views, labels within the task, names', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'engram-'));
  try {
    const digits = await loadDigits();
    const sequences = {
      permuted: permutedTasks('permuted', digits, 3, 1),
      split: splitTasks('split', {train: digits, test: digits}, 3, 'class-incremental'),
    };
    for (const [name, sequence] of Object.entries(sequences)) {
      let drawn = 0;
      const draw = () => {
        drawn++;
        return Promise.resolve(sequence);
      };
      const file = join(folder, 'deep', `${name}.safetensors`);
      const [first, second] = [await kept(file, draw), await kept(file, draw)];
      expect(drawn).toBe(1);
      expect(first).toBe(sequence);
      expect(second).not.toBe(sequence);
      expect(await seen(second)).toEqual(await seen(sequence));
    }
  } finally {
    await rm(folder, {recursive: true, force: true});
  }
});

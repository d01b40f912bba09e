/** Experience replay: how the buffer is filled and thinned, and which rows join a step. */
import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {EngramError} from '../dist/index.js';
import {drawRows} from '../dist/methods/draw.js';
import {ExperienceReplay} from '../dist/methods/experience-replay.js';
import type {LearningTask} from '../dist/methods/method.js';

/** What replay sees of a task. */
const task = (index: number, count: number, seed = 7) => ({index, count, seed}) as LearningTask;

/** Buffers after each of the tasks, sets of rows by task. */
async function buffers(replay: ExperienceReplay, counts: number[], seed = 7): Promise<Set<number>[][]> {
  const after: Set<number>[][] = [];
  for (const [index, count] of counts.entries()) {
    await replay.beforeTask(task(index, count, seed));
    await replay.afterTask(task(index, count, seed));
    after.push(replay.kept.map(({rows}) => new Set(rows)));
  }
  return after;
}

describe('the buffer of experience replay', () => {
  it('is full after every task, evenly by task, and a task pushed aside never comes back', async () => {
    const sizes = fc.array(fc.integer({min: 30, max: 200}), {minLength: 1, maxLength: 8});
    await fc.assert(
      fc.asyncProperty(sizes, fc.integer({min: 8, max: 30}), fc.integer(), async (counts, capacity, seed) => {
        const after = await buffers(new ExperienceReplay({capacity}), counts, seed);
        for (const [index, sets] of after.entries()) {
          const lengths = sets.map(({size}) => size);
          expect(lengths).toHaveLength(index + 1);
          expect(lengths.reduce((a, b) => a + b)).toBe(capacity);
          expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1);
          for (const [place, rows] of sets.entries()) {
            for (const row of rows) {
              expect(row).toBeLessThan(counts[place]);
              if (place < index) expect(after[index - 1][place].has(row)).toBe(true);
            }
          }
        }
      }),
      {numRuns: 30},
    );
  });

  it('keeps all of a task that has fewer samples than its part', async () => {
    const after = await buffers(new ExperienceReplay({capacity: 20}), [3, 100]);
    expect(after.map((sets) => sets.map(({size}) => size))).toEqual([[3], [3, 10]]);
    expect([...after[1][0]].sort()).toEqual([0, 1, 2]);
  });

  it('draws every row with the same chance', async () => {
    const hits = new Array(10).fill(0);
    for (let seed = 0; seed < 2000; seed++) for (const row of drawRows(10, 3, String(seed))) hits[row]++;
    // 600 expected, standard deviation 20.5: 5 of them.
    for (const count of hits) expect(Math.abs(count - 600)).toBeLessThan(103);
  });
});

describe('rehearsal', () => {
  const prepared = async (seed = 7) => {
    const replay = new ExperienceReplay({capacity: 30, samplesPerStep: 8});
    await buffers(replay, [50, 60, 70], seed);
    return replay;
  };

  it('gives nothing in the first task', async () => {
    const replay = new ExperienceReplay({capacity: 30});
    await replay.beforeTask(task(0, 50));
    expect(replay.rehearse(task(0, 50), 0)).toEqual([]);
  });

  it('gives as many rows as asked, of earlier tasks in their order, from the buffer, none twice', async () => {
    const replay = await prepared();
    const seen = [0, 0, 0];
    for (let step = 0; step < 300; step++) {
      const groups = replay.rehearse(task(3, 80), step);
      const order = groups.map((group) => group.task);
      expect(order).toEqual([...new Set(order)].sort());
      expect(groups.reduce((sum, {rows}) => sum + rows.length, 0)).toBe(8);
      for (const {task: index, rows} of groups) {
        expect(rows.length).toBeGreaterThan(0);
        expect(new Set(rows).size).toBe(rows.length);
        const kept = new Set(replay.kept[index].rows);
        for (const row of rows) expect(kept.has(row)).toBe(true);
        seen[index] += rows.length;
      }
    }
    // 800 expected of each; drawn without replacement the deviation is at most 20.4 a task: 5 of them.
    for (const count of seen) expect(Math.abs(count - 800)).toBeLessThan(103);
  });

  it('never gives rows of the present task, even where the buffer has them', async () => {
    const replay = await prepared();
    for (let step = 0; step < 50; step++) {
      for (const group of replay.rehearse(task(2, 70), step)) expect(group.task).toBeLessThan(2);
    }
  });

  it('gives the whole buffer if that holds fewer rows', async () => {
    const replay = new ExperienceReplay({capacity: 5});
    await buffers(replay, [50]);
    const [group, ...others] = replay.rehearse(task(1, 50), 0);
    expect(others).toEqual([]);
    expect([...group.rows].sort()).toEqual([...replay.kept[0].rows].sort());
  });

  it('is decided by seed, task and step', async () => {
    const [replay, same, other] = [await prepared(), await prepared(), await prepared(8)];
    const rows = (of: ExperienceReplay, index: number, step: number, seed = 7) =>
      of.rehearse(task(index, 80, seed), step);
    expect(rows(same, 3, 5)).toEqual(rows(replay, 3, 5));
    expect(same.kept).toEqual(replay.kept);
    expect(other.kept).not.toEqual(replay.kept);
    expect(rows(replay, 3, 6)).not.toEqual(rows(replay, 3, 5));
    expect(rows(replay, 3, 5, 9)).not.toEqual(rows(replay, 3, 5));
    expect(rows(replay, 4, 5)).not.toEqual(rows(replay, 3, 5));
  });

  it('goes on from its state in another object', async () => {
    const replay = await prepared();
    const other = new ExperienceReplay({capacity: 30, samplesPerStep: 8});
    const {tensors, json} = await replay.state();
    other.restore({tensors, json: JSON.parse(JSON.stringify(json))});
    for (const each of [replay, other]) await each.afterTask(task(3, 80));
    expect(other.kept).toEqual(replay.kept);
    expect(other.rehearse(task(4, 80), 3)).toEqual(replay.rehearse(task(4, 80), 3));
  });

  it('refuses bad options, a state that lacks something, and more tasks than places', async () => {
    for (const bad of [{capacity: 0}, {capacity: 1.5}, {capacity: 9, samplesPerStep: 0}, {capacity: Number.NaN}]) {
      expect(() => new ExperienceReplay(bad), JSON.stringify(bad)).toThrow(EngramError);
    }
    const replay = new ExperienceReplay({capacity: 2});
    for (const json of [undefined, {}, {buffer: [{task: 0}]}, {buffer: 'full'}]) {
      expect(() => replay.restore({tensors: new Map(), json})).toThrow(EngramError);
    }
    await buffers(replay, [5, 5]);
    await replay.beforeTask(task(2, 5));
    await replay.afterTask(task(2, 5));
    await expect(replay.beforeTask(task(3, 5))).rejects.toMatchObject({code: 'ARGUMENT'});
  });
});

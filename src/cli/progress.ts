/** Shows how far the methods are: one live bar each on a terminal, plain lines elsewhere. */
import {MultiBar, type SingleBar} from 'cli-progress';
import {averageAccuracy} from '../scenarios/metrics.js';
import type {SequenceProgress} from '../scenarios/run.js';

export interface ProgressView {
  /** Takes what `learnSequence` reports of the method with this index. */
  update(method: number, progress: SequenceProgress): void;
  /** Ends the display; the cursor is back. Safe to call twice. */
  stop(): void;
}

/** One bar or line per method and `tasks` tasks each. */
export function showProgress(labels: readonly string[], tasks: number, stream = process.stderr): ProgressView {
  return stream.isTTY ? liveBars(labels, tasks, stream) : plainLines(labels, tasks, stream);
}

function liveBars(labels: readonly string[], tasks: number, stream: NodeJS.WriteStream): ProgressView {
  const bars = new MultiBar({
    format: '{label} {bar} task {task}/{tasks}  {seconds} s  {note}',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 28,
    hideCursor: true,
    stream,
  });
  const wide = Math.max(...labels.map((label) => label.length));
  const waiting = {task: 0, tasks, seconds: '0.0', note: 'waiting'};
  const lines = labels.map((label) => bars.create(1, 0, {...waiting, label: label.padEnd(wide)}));
  const began = labels.map(() => 0);
  const histories = labels.map((): (readonly number[])[] => []);
  let stopped = false;
  return {
    update(method, {task, step, steps, accuracy}) {
      const bar: SingleBar = lines[method];
      began[method] ||= performance.now();
      if (accuracy) histories[method].push(accuracy);
      const seconds = ((performance.now() - began[method]) / 1000).toFixed(1);
      bar.setTotal(steps * tasks);
      bar.update(task * steps + step, {task: task + 1, seconds, note: averageNote(histories[method])});
    },
    stop() {
      if (!stopped) bars.stop();
      stopped = true;
    },
  };
}

function plainLines(labels: readonly string[], tasks: number, stream: NodeJS.WriteStream): ProgressView {
  const histories = labels.map((): (readonly number[])[] => []);
  return {
    update(method, {task, accuracy}) {
      if (!accuracy) return;
      histories[method].push(accuracy);
      stream.write(`${labels[method]}: task ${task + 1} of ${tasks} learned, ${averageNote(histories[method])}\n`);
    },
    stop() {},
  };
}

function averageNote(history: readonly (readonly number[])[]): string {
  if (history.length === 0) return '';
  // The matrix so far is not square yet: its columns are those of the tasks learned.
  const learned = history.map((row) => row.slice(0, history.length));
  return `average ${(100 * averageAccuracy(learned)).toFixed(1)} %`;
}

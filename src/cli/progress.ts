/** Shows how far the methods are: one live bar each on a terminal, plain lines elsewhere. */
import {MultiBar, type SingleBar} from 'cli-progress';
import type {SequenceProgress} from '../experiments/learn.js';
import {averageAccuracy} from '../scenarios/metrics.js';

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

/** Shows a download in whole percent, each once. */
export function showDownload(name: string, stream = process.stderr): (received: number, total: number) => void {
  let shown = -1;
  return (received, total) => {
    const percent = Math.floor((100 * received) / total);
    if (percent <= shown) return;
    shown = percent;
    stream.write(`\rdownloading ${name}, ${percent} %${percent === 100 ? '\n' : ''}`);
  };
}

/** Shows how far the runs of an experiment are. */
export interface RunsView {
  /** Takes the progress of one run, which `run` tells apart from the others of its label. */
  update(label: string, run: string | number, progress: SequenceProgress): void;
  /** Counts a run as done. */
  done(label: string, run: string | number): void;
  /** Ends the display. Safe to call twice. */
  stop(): void;
}

/** A bar for each method on a terminal; elsewhere a line for each run that is done. `runs` is the number of each. */
export function showRuns(runs: ReadonlyMap<string, number>, stream = process.stderr): RunsView {
  const finished = new Map([...runs.keys()].map((label) => [label, 0]));
  const count = (label: string): number => {
    finished.set(label, (finished.get(label) ?? 0) + 1);
    return finished.get(label) ?? 0;
  };
  if (!stream.isTTY) {
    return {
      update: () => undefined,
      done: (label, run) => void stream.write(`${label}: ${run} done, ${count(label)} of ${runs.get(label)}\n`),
      stop: () => undefined,
    };
  }
  const bars = new MultiBar({format: '{label} {bar} {done}/{runs}  {note}', barsize: 28, hideCursor: true, stream});
  const wide = Math.max(...[...runs.keys()].map((label) => label.length));
  const lines = new Map(
    [...runs].map(([label, total]) => [
      label,
      bars.create(total, 0, {label: label.padEnd(wide), done: 0, runs: total, note: ''}),
    ]),
  );
  /** How far the runs under way are, 0..1. */
  const parts = new Map<string, Map<string | number, number>>();
  const draw = (label: string, note: string) => {
    const running = [...(parts.get(label)?.values() ?? [])].reduce((sum, part) => sum + part, 0);
    const done = finished.get(label) ?? 0;
    lines.get(label)?.update(done + running, {done, note});
  };
  let stopped = false;
  return {
    update(label, run, {task, tasks, step, steps}) {
      const own = parts.get(label) ?? new Map();
      parts.set(label, own.set(run, (task + step / steps) / tasks));
      draw(label, `task ${task + 1} of ${tasks}`);
    },
    done(label, run) {
      count(label);
      parts.get(label)?.delete(run);
      draw(label, '');
    },
    stop() {
      if (!stopped) bars.stop();
      stopped = true;
    },
  };
}

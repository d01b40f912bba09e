/** The accuracy of every task after every task as a text table, one method under the other. */
import Table from 'cli-table3';
import {type AccuracyMatrix, averageAccuracy, forgetting, forgettingOf} from '../scenarios/metrics.js';

/** What one method reached on a sequence. */
export interface MethodResult {
  /** As it stands in tables and legends. */
  readonly label: string;
  readonly accuracy: AccuracyMatrix;
  /** Wall time of the run. */
  readonly seconds: number;
}

/**
 * Accuracy in percent: a row for each task learned, a column for each task tested; tasks not yet learned stay empty.
 * Then average accuracy and forgetting after that task, and per method a row with the forgetting of each task.
 */
export function accuracyTable(results: readonly MethodResult[]): string {
  const tasks = results[0].accuracy.length;
  const names = Array.from({length: tasks}, (_, task) => `task ${task + 1}`);
  const table = new Table({
    head: ['', 'after', ...names, 'average', 'forgetting'],
    colAligns: ['left', 'left', ...names.map(() => 'right' as const), 'right', 'right'],
    style: {head: [], border: [], compact: true},
  });
  for (const [index, {label, accuracy}] of results.entries()) {
    if (index > 0) table.push([{colSpan: tasks + 4, content: ''}]);
    accuracy.forEach((row, after) => {
      table.push([
        after === 0 ? label : '',
        names[after],
        ...row.map((value, task) => (task <= after ? percent(value) : '')),
        percent(averageAccuracy(accuracy, after)),
        after === 0 ? '' : points(forgetting(accuracy, after)),
      ]);
    });
    table.push(['', 'forgotten', ...names.map((_, task) => points(forgettingOf(accuracy, task))), '', '']);
  }
  return table.toString();
}

/** One line per method: where it ended. */
export function summaryTable(results: readonly MethodResult[]): string {
  const table = new Table({
    head: ['', 'average accuracy', 'forgetting', 'last task', 'seconds'],
    colAligns: ['left', 'right', 'right', 'right', 'right'],
    style: {head: [], border: [], compact: true},
  });
  for (const {label, accuracy, seconds} of results) {
    const last = accuracy.at(-1)?.at(-1) ?? Number.NaN;
    table.push([
      label,
      `${percent(averageAccuracy(accuracy))} %`,
      `${points(forgetting(accuracy))} points`,
      `${percent(last)} %`,
      seconds.toFixed(1),
    ]);
  }
  return table.toString();
}

const percent = (value: number) => (100 * value).toFixed(1);
/** Percentage points; nothing for a task that had no time to be forgotten. */
const points = (value: number | undefined) => (value === undefined ? '' : percent(value));

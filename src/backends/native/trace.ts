/**
 * Which kernels ran, how long, and which of them in JavaScript: `ENGRAM_TRACE=1` prints a table when the process ends,
 * `ENGRAM_TRACE=json` one line of JSON; any other value collects for {@link kernelTraces}. Off, it costs nothing.
 */
import type * as tf from '@tensorflow/tfjs-core';

/** What is known of one kernel. */
export interface KernelTrace {
  calls: number;
  /** Time in the kernel itself, without the kernels that it ran. */
  milliseconds: number;
  /** Calls that tfjs' cpu kernel answered, in JavaScript. */
  inJavaScript: number;
  /** Those of them whose inputs were all float32. */
  float32InJavaScript: number;
}

const mode = process.env.ENGRAM_TRACE;
const kernels = new Map<string, KernelTrace>();

/** What was collected so far, by kernel. */
export const kernelTraces: ReadonlyMap<string, KernelTrace> = kernels;

/** Milliseconds spent in kernels called by those that are running, outermost first. */
const running: number[] = [];

/** The kernel, watched if tracing is on. */
export function traced(name: string, kernel: tf.KernelFunc): tf.KernelFunc {
  if (!mode) return kernel;
  return (call) => {
    const started = performance.now();
    running.push(0);
    try {
      return kernel(call);
    } finally {
      const whole = performance.now() - started;
      const found = of(name);
      found.calls++;
      found.milliseconds += whole - running.pop()!;
      if (running.length > 0) running[running.length - 1] += whole;
    }
  };
}

/** Notes that tfjs' own JavaScript answers a call. */
export function noteJavaScript(name: string, inputs: object): void {
  if (!mode) return;
  const found = of(name);
  found.inJavaScript++;
  const tensors = Object.values(inputs).flat() as (tf.TensorInfo | null | undefined)[];
  const isFloat = (tensor: tf.TensorInfo | null | undefined) => !tensor || tensor.dtype === 'float32';
  if (tensors.length > 0 && tensors.every(isFloat)) found.float32InJavaScript++;
}

function of(name: string): KernelTrace {
  let found = kernels.get(name);
  if (!found) {
    found = {calls: 0, milliseconds: 0, inJavaScript: 0, float32InJavaScript: 0};
    kernels.set(name, found);
  }
  return found;
}

function report(): string {
  const sorted = [...kernels].sort(([, a], [, b]) => b.milliseconds - a.milliseconds);
  if (mode === 'json') return JSON.stringify({engramTrace: Object.fromEntries(sorted)});
  const all = sorted.reduce((sum, [, {milliseconds}]) => sum + milliseconds, 0);
  const rows = sorted.map(([name, {calls, milliseconds, inJavaScript}]) => {
    const share = ((100 * milliseconds) / Math.max(all, 1e-9)).toFixed(1);
    const where = inJavaScript === 0 ? '' : inJavaScript === calls ? 'JavaScript' : `JavaScript ${inJavaScript} times`;
    return [name, String(calls), milliseconds.toFixed(1), share, where];
  });
  const table = [['kernel', 'calls', 'ms', '%', ''], ...rows];
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  const line = (row: string[]) =>
    row.map((text, i) => (i === 0 || i === 4 ? text.padEnd(widths[i]) : text.padStart(widths[i])));
  return table.map((row) => line(row).join('  ').trimEnd()).join('\n');
}

if (mode === '1' || mode === 'json') process.once('exit', () => process.stderr.write(`${report()}\n`));

/** Runs cells in processes of their own, several at a time. */
import {fork} from 'node:child_process';
import {availableParallelism} from 'node:os';
import {fileURLToPath} from 'node:url';
import {EngramError, type ErrorCode} from '../errors.js';
import {type BackendName, chooseBackend} from './backend.js';
import {type Cell, runOf} from './cell.js';
import type {SequenceProgress} from './learn.js';
import {loadResult, type RunResult} from './store.js';
import type {Answer, Order} from './worker.js';

/** How processes are run. */
export interface PoolOptions {
  /** Processes at a time; default one for each processor. */
  readonly jobs?: number | undefined;
  /** Default `native`, or `cpu` without the C++ addon. */
  readonly backend?: BackendName | undefined;
  /** Ends all processes; the promise rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called as a run goes on. */
  readonly onProgress?: (cell: Cell, progress: SequenceProgress) => void;
  /** Called when a run is done. */
  readonly onResult?: (cell: Cell, result: RunResult) => void;
}

const worker = fileURLToPath(new URL('./worker.js', import.meta.url));

/**
 * Runs all cells that have no result yet, each in a process with its share of the processors. The first failure ends
 * them all.
 *
 * @returns the results in the order of the cells
 * @throws what a cell throws, with its method and seed; the signal's reason
 */
export async function runCells(cells: readonly Cell[], options: PoolOptions): Promise<RunResult[]> {
  const processors = availableParallelism();
  const jobs = Math.max(1, Math.min(options.jobs ?? processors, cells.length));
  const threads = Math.max(1, Math.floor(processors / jobs));
  const stop = new AbortController();
  const stopAll = () => stop.abort(options.signal?.reason);
  options.signal?.addEventListener('abort', stopAll, {once: true});
  if (options.signal?.aborted) stopAll();
  const results: RunResult[] = new Array(cells.length);
  const {name: backend} = chooseBackend(options.backend);
  let next = 0;
  const work = async () => {
    while (next < cells.length) {
      const index = next++;
      const {folder, run} = runOf(cells[index], backend);
      results[index] =
        (await loadResult(folder, run)) ?? (await runInProcess(cells[index], backend, threads, stop.signal, options));
      options.onResult?.(cells[index], results[index]);
    }
  };
  try {
    const all = Array.from({length: jobs}, () =>
      work().catch((error) => {
        stop.abort(error);
        throw error;
      }),
    );
    await Promise.all(all.map((one) => one.catch(() => undefined))); // no process outlives this call
    await Promise.all(all);
    return results;
  } catch (error) {
    throw stop.signal.reason ?? error;
  } finally {
    options.signal?.removeEventListener('abort', stopAll);
  }
}

function runInProcess(
  cell: Cell,
  backend: BackendName,
  threads: number,
  signal: AbortSignal,
  options: PoolOptions,
): Promise<RunResult> {
  signal.throwIfAborted();
  const child = fork(worker, {env: {...process.env, ENGRAM_NUM_THREADS: String(threads)}});
  const kill = () => child.kill('SIGTERM');
  signal.addEventListener('abort', kill, {once: true});
  return new Promise<RunResult>((resolve, reject) => {
    let result: RunResult | undefined;
    let failure: Error | undefined;
    child.on('message', (answer: Answer) => {
      if ('progress' in answer) options.onProgress?.(cell, answer.progress);
      else if ('result' in answer) result = answer.result;
      else failure = failureOf(cell, answer.error);
    });
    child.on('error', (error) => {
      failure ??= error;
    });
    child.on('exit', (code, exitSignal) => {
      signal.removeEventListener('abort', kill);
      if (result) resolve(result);
      else reject(signal.aborted ? signal.reason : (failure ?? ended(cell, code, exitSignal)));
    });
    child.send({cell, backend} satisfies Order);
  });
}

function failureOf({label, seed}: Cell, error: Extract<Answer, {error: unknown}>['error']): Error {
  const {code, expected = '', received = '', remedy = '', message} = error;
  if (!code) return new Error(`${label}, seed ${seed}: ${message}`);
  return new EngramError(code as ErrorCode, {expected, received: `${received} (${label}, seed ${seed})`, remedy});
}

function ended({label, seed}: Cell, code: number | null, signal: NodeJS.Signals | null): EngramError {
  return new EngramError('BACKEND', {
    expected: `the process of ${label}, seed ${seed}, to end with a result`,
    received: signal ? `its end by ${signal}` : `exit status ${code}`,
    remedy: 'Go on with --resume; where memory is short, run fewer processes with --jobs.',
  });
}

/** What runs leave in a folder: a checkpoint after every task, and the result at the end. Every file is replaced whole. */
import {existsSync} from 'node:fs';
import {mkdir, readdir, readFile, rm} from 'node:fs/promises';
import {join} from 'node:path';
import {pathToFileURL} from 'node:url';
import type {EngramError} from '../errors.js';
import {writeWhole} from '../memory/node-file.js';
import {floatsOf, readSafetensors, writeSafetensors} from '../memory/safetensors.js';
import {dataFileError, reasonOf} from '../scenarios/images.js';
import type {Checkpoint, SequenceResult} from './checkpoint.js';
import {folderOf} from './file.js';
import type {MethodSpec} from './methods.js';

/** One run of one method on one seed, and what came of it. */
export interface RunResult extends SequenceResult {
  /** The method's name in tables and legends. */
  readonly label: string;
  /** The method with the options that it ran with. */
  readonly method: MethodSpec;
  readonly seed: number;
  /** Tells the run apart from every other: a fingerprint of all that decides its numbers. */
  readonly run: string;
  /** TensorFlow.js backend. */
  readonly backend: string;
}

/** The folder of one run. */
export function runFolder(folder: string, label: string, seed: number, point = 0): string {
  return join(folder, 'runs', folderOf(label), ...(point > 0 ? [`setting-${point}`] : []), `seed-${seed}`);
}

/** Writes JSON as one step. */
export async function writeJson(file: string, value: unknown): Promise<void> {
  await writeWhole(pathToFileURL(file), Buffer.from(`${JSON.stringify(value, null, 1)}\n`));
}

/** @returns undefined where there is no file @throws EngramError DATA_FILE for one that is damaged */
export async function readJson<T>(file: string): Promise<T | undefined> {
  if (!existsSync(file)) return undefined;
  try {
    return JSON.parse(await readFile(file, 'utf8')) as T;
  } catch (cause) {
    throw dataFileError(file, {
      expected: 'JSON that Engram wrote',
      received: reasonOf(cause),
      remedy: 'Delete the file: what it held is learned anew.',
      cause,
    });
  }
}

const checkpointFile = (folder: string) => join(folder, 'checkpoint.safetensors');
const resultFile = (folder: string) => join(folder, 'result.json');

/**
 * Writes a checkpoint as one safetensors file: `weights.NAME`, `method.NAME`, and all the rest as JSON in its metadata.
 *
 * @param run tells the run apart from every other; checked by {@link loadCheckpoint}
 */
export async function saveCheckpoint(folder: string, run: string, checkpoint: Checkpoint): Promise<void> {
  const {weights, method, ...rest} = checkpoint;
  const tensors = new Map([
    ...[...weights].map(([name, tensor]) => [`weights.${name}`, tensor] as const),
    ...[...method.tensors].map(([name, tensor]) => [`method.${name}`, tensor] as const),
  ]);
  const metadata = new Map([
    ['format', 'engram-checkpoint'],
    ['run', run],
    ['state', JSON.stringify({...rest, method: method.json})],
  ]);
  await mkdir(folder, {recursive: true});
  await writeWhole(pathToFileURL(checkpointFile(folder)), writeSafetensors(tensors, metadata));
}

/**
 * The checkpoint of a run that was interrupted.
 *
 * @returns undefined where there is none
 * @throws EngramError DATA_FILE for a damaged file, or one of another run
 */
export async function loadCheckpoint(folder: string, run: string): Promise<Checkpoint | undefined> {
  const file = checkpointFile(folder);
  if (!existsSync(file)) return undefined;
  const {metadata, tensors} = readSafetensors(await readFile(file));
  if (metadata.get('run') !== run) throw otherRun(file, run, metadata.get('run'));
  const {method: json, ...rest} = JSON.parse(metadata.get('state') ?? '{}');
  const part = (prefix: string) => {
    const own = [...tensors].filter(([name]) => name.startsWith(prefix));
    return new Map(
      own.map(([name, raw]) => [name.slice(prefix.length), {shape: raw.shape, values: floatsOf(name, raw)}]),
    );
  };
  return {...rest, weights: part('weights.'), method: {tensors: part('method.'), json}};
}

/** Writes the result, keeps what the method holds for pictures and `engram inspect`, and deletes the checkpoint. */
export async function saveResult(
  folder: string,
  result: RunResult,
  held: Checkpoint['method']['tensors'],
): Promise<void> {
  await mkdir(folder, {recursive: true});
  if (held.size > 0) {
    const metadata = new Map([['format', 'engram-method-state']]);
    await writeWhole(pathToFileURL(join(folder, 'method.safetensors')), writeSafetensors(held, metadata));
  }
  await writeJson(resultFile(folder), result);
  await rm(checkpointFile(folder), {force: true});
}

/**
 * The result of a run.
 *
 * @returns undefined where it is not done
 * @throws EngramError DATA_FILE for a damaged file, or one of another run
 */
export async function loadResult(folder: string, run: string): Promise<RunResult | undefined> {
  const result = await readJson<RunResult>(resultFile(folder));
  if (result && result.run !== run) throw otherRun(resultFile(folder), run, result.run);
  return result;
}

function otherRun(file: string, expected: string, received: string | undefined): EngramError {
  return dataFileError(file, {
    expected: `run ${expected}`,
    received: `run ${received}`,
    remedy: 'The experiment, its settings or the backend were changed: begin anew in another folder.',
  });
}

/** The results of all finished runs of an experiment, by label and seed; those of a selection are left out. */
export async function loadResults(folder: string): Promise<RunResult[]> {
  const runs = join(folder, 'runs');
  const found: RunResult[] = [];
  for (const label of existsSync(runs) ? (await readdir(runs)).sort() : []) {
    for (const seed of await readdir(join(runs, label))) {
      if (!seed.startsWith('seed-')) continue;
      const result = await readJson<RunResult>(resultFile(join(runs, label, seed)));
      if (result) found.push(result);
    }
  }
  return found.sort((a, b) => a.seed - b.seed);
}

/** Whether a folder holds runs, finished or not. */
export async function hasRuns(folder: string): Promise<boolean> {
  const runs = join(folder, 'runs');
  return existsSync(runs) && (await readdir(runs)).length > 0;
}

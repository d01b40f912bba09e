/** A process that runs one cell: its parent sends the cell, it answers with progress and the end. */
import {EngramError} from '../errors.js';
import {type BackendName, useBackend} from './backend.js';
import type {Cell} from './cell.js';
import type {SequenceProgress} from './learn.js';
import {runCell} from './run-cell.js';
import type {RunResult} from './store.js';

/** What the parent sends. */
export interface Order {
  readonly cell: Cell;
  readonly backend: BackendName;
}

/** What the process answers. */
export type Answer =
  | {readonly progress: SequenceProgress}
  | {readonly result: RunResult}
  | {readonly error: {code?: string; expected?: string; received?: string; remedy?: string; message: string}};

const answer = (message: Answer) => new Promise<void>((resolve) => process.send!(message, () => resolve()));

// Without its parent nobody waits for the run, and another call may already go on with it.
process.once('disconnect', () => process.exit());

process.once('message', async ({cell, backend}: Order) => {
  try {
    await useBackend(backend);
    // A step takes a millisecond or so: telling of each would keep both processes busy with telling.
    let told = 0;
    const result = await runCell(cell, {
      onProgress: (progress) => {
        const now = performance.now();
        if (!progress.accuracy && now - told < 200) return;
        told = now;
        void answer({progress});
      },
    });
    await answer({result});
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const {code, expected, received, remedy} = error instanceof EngramError ? error : ({} as EngramError);
    await answer({error: {code, expected, received, remedy, message}});
  } finally {
    process.disconnect();
  }
});

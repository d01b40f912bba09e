/** Whether an accumulation is of what a method measures. */
import {EngramError} from '../errors.js';
import type {Accumulation} from '../memory/accumulation.js';
import {refuseOtherMeasure} from '../memory/measure.js';
import type {ConsolidateOptions} from './mas-options.js';

/**
 * Refuses an accumulation of other variables or settings than a method's own has, whatever its outputs, and options that
 * only the reading of samples understands.
 *
 * @throws EngramError ARGUMENT; the signal's reason
 */
export function refuseUnfit(accumulation: Accumulation, own: Accumulation, options: ConsolidateOptions): void {
  const given = (['batchSize', 'onProgress', 'precision', 'outputs'] as const).find(
    (key) => options[key] !== undefined,
  );
  if (given) {
    throw new EngramError('ARGUMENT', {
      expected: `no ${given} beside an accumulation`,
      received: String(options[given]),
      remedy: 'Give it where the samples are read: to mas.accumulation() or accumulation.add().',
    });
  }
  const {outputs} = accumulation.measure;
  refuseOtherMeasure({...own.measure, outputs}, accumulation.measure);
  const theirs = new Set(accumulation.variables);
  if (theirs.size !== own.variables.length || !own.variables.every((variable) => theirs.has(variable))) {
    const names = ({variables}: Accumulation) => variables.map(({name}) => name).join(', ');
    throw new EngramError('ARGUMENT', {
      expected: `an accumulation of ${names(own)}`,
      received: `one of ${names(accumulation)}`,
      remedy: 'Make it with mas.accumulation(), and merge what comes from elsewhere into that.',
    });
  }
  options.signal?.throwIfAborted();
}

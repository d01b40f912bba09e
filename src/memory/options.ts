/** What calls take besides samples: their options, and how these are checked. */
import type * as tf from '@tensorflow/tfjs-core';
import {EngramError} from '../errors.js';
import {checkPrecision, type Precision} from '../kernels/precision.js';
import {checkVariables, describe} from '../tape/network.js';

/** How far a pass over the data has come. */
export interface Progress {
  /** Samples done. */
  samples: number;
  /** Samples in all, where the data tells before it is read. */
  total: number | undefined;
  /** Seconds since the start. */
  seconds: number;
  /** Seconds to go at the pace so far, where the total is known. */
  secondsLeft: number | undefined;
}

/** How the data are read. */
export interface EstimateOptions {
  /** Samples per batch; the result does not depend on it. Default 64. */
  batchSize?: number;
  /** Stops between batches; the promise rejects with the signal's reason and nothing is changed. */
  signal?: AbortSignal;
  /** Called after every batch. */
  onProgress?: (progress: Progress) => void;
  /**
   * Precision of the products of per-sample gradients of convolutions and of layers applied along an axis, the bulk of
   * the work; default `f32`. Nothing else is affected: forward and backward pass, certificate, single samples and sums
   * stay in f32.
   *
   * `f16` and `f16x3` need tensor cores (an NVIDIA GPU through `engram/webgpu` in Node) and are refused elsewhere.
   * `f16` is as accurate as TF32 (errors up to about 1e-3 of the sum of the magnitudes that a gradient adds up); `f16x3`
   * is about as accurate as f32; `auto` is `f16x3` where the device has it, else `f32`. Layers with fewer positions than
   * make tensor cores worth it stay in f32.
   */
  precision?: Precision;
}

/** @throws EngramError ARGUMENT for options that are not what their types say */
export function checkEstimateOptions({batchSize, signal, onProgress, precision}: EstimateOptions): void {
  const refuse = (expected: string, value: unknown, remedy: string) => {
    throw new EngramError('ARGUMENT', {expected, received: String(value), remedy});
  };
  if (batchSize !== undefined && !(Number.isSafeInteger(batchSize) && batchSize >= 1)) {
    refuse('batchSize to be a whole number of at least 1', batchSize, 'Leave it out for the default of 64.');
  }
  if (signal !== undefined && typeof signal?.throwIfAborted !== 'function') {
    refuse('signal to be an AbortSignal', signal, 'Pass controller.signal of an AbortController.');
  }
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    refuse('onProgress to be a function', onProgress, 'Leave it out, or pass (progress) => void.');
  }
  if (precision !== undefined) checkPrecision(precision);
}

/** @throws EngramError ARGUMENT unless the value is undefined or allowed */
export function checkChoice(option: string, value: unknown, allowed: readonly string[]): void {
  if (value === undefined || allowed.includes(value as string)) return;
  throw new EngramError('ARGUMENT', {
    expected: `${option} to be one of ${allowed.join(', ')}`,
    received: String(value),
    remedy: 'Leave it out for the default.',
  });
}

/** @throws EngramError ARGUMENT, DTYPE or DISPOSED for what is no array of live variables */
export function checkVariableList(variables: readonly tf.Variable[]): void {
  if (!Array.isArray(variables)) {
    throw new EngramError('ARGUMENT', {
      expected: 'an array of tf.Variable',
      received: describe(variables),
      remedy: 'Pass the variables that the importance is about.',
    });
  }
  checkVariables(variables);
}

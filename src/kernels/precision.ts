/** In which precision the products of a moment are computed, and who can. */
import {EngramError} from '../errors.js';

/**
 * `f32`: as everywhere else, the default. `f16`: operands rounded to f16 after scaling each sample by powers of two, with
 * 32-bit sums, the accuracy of TF32. `f16x3`: operands split into two f16 (Ootomo & Yokota 2022,
 * doi 10.1177/10943420221090256), three products, about the accuracy of f32. `auto`: `f16x3` on a device with tensor
 * cores, else `f32`. The plan keeps in f32 what tensor cores would not make faster (src/kernels/webgpu-matrix-plan.ts).
 */
export type Precision = 'f32' | 'f16' | 'f16x3' | 'auto';
export const precisions: readonly Precision[] = ['f32', 'f16', 'f16x3', 'auto'];

/** How one call computes. */
export interface PrecisionOption {
  readonly precision?: Precision | undefined;
}

/** What a call on a GPU may be told besides its parameters. */
export interface CallOptions extends PrecisionOption {
  /**
   * `grad_moment`, `grad_moment_dense` and `grad_moment_depthwise` write the moment instead of adding to it: what was in
   * it before does not matter. Default false.
   */
  readonly overwrite?: boolean | undefined;
  /** `penalized_step` finds theta in `next` and writes the step over it; `theta` is not looked at. Default false. */
  readonly inPlace?: boolean | undefined;
}

/** The precisions that 16x16 matrices of tensor cores compute in. */
export type MatrixPrecision = 'f16' | 'f16x3';

/** What `precision` asks of a device with tensor cores; undefined for ordinary f32. */
export function matrixPrecision(precision: Precision): MatrixPrecision | undefined {
  if (precision === 'f32') return undefined;
  return precision === 'auto' ? 'f16x3' : precision;
}

/** @throws EngramError ARGUMENT for what is no precision */
export function checkPrecision(precision: Precision): void {
  if (precisions.includes(precision)) return;
  throw new EngramError('ARGUMENT', {
    expected: `precision to be one of ${precisions.join(', ')}`,
    received: String(precision),
    remedy: 'Leave it out for f32.',
  });
}

/** The error for a device that was asked for a precision which it cannot compute in. */
export function noMatrices(precision: Precision): EngramError {
  return new EngramError('DEVICE', {
    expected:
      `a GPU device with 16x16 matrices of f16 in subgroups of 32 for precision '${precision}' ` +
      '(shader-f16, subgroups and chromium-experimental-subgroup-matrix)',
    received: 'one without',
    remedy:
      "Use precision 'auto', which takes f32 there, on an NVIDIA GPU with tensor cores through engram/webgpu in Node.",
  });
}

/** @throws EngramError ARGUMENT for what is no precision, BACKEND for one that needs a GPU */
export function checkHostPrecision(precision: Precision, engine: string): void {
  checkPrecision(precision);
  if (precision === 'f32' || precision === 'auto') return;
  throw new EngramError('BACKEND', {
    expected: `the webgpu backend for precision '${precision}'`,
    received: `the ${engine} engine, which computes in f32`,
    remedy: "Use precision 'auto', or import 'engram/webgpu' and await tf.setBackend('webgpu').",
  });
}

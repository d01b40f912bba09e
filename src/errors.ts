/** The one error class of Engram: a code to branch on, what was expected, what came, and what to do about it. */

/** Why a call was refused. Codes are stable; messages are for people. */
export type ErrorCode =
  | 'ARGUMENT' // an option or parameter outside its range
  | 'SHAPE' // a tensor or array of the wrong shape or length
  | 'DTYPE' // a tensor or array of the wrong type
  | 'DETACHED' // an array whose memory was transferred away
  | 'EMPTY_DATA' // no sample in the data
  | 'NON_FINITE' // NaN or Infinity in data, outputs or importance
  | 'UNKNOWN_VARIABLE' // a name that the network does not have
  | 'NESTED_TAPE' // called while TensorFlow.js records a gradient
  | 'NOT_SAMPLEWISE' // the network's outputs for one sample depend on the others
  | 'NO_GRADIENTS' // tfjs-core is loaded without its gradient functions
  | 'DISPOSED' // used after dispose()
  | 'BUSY' // a second call while the first still runs
  | 'CHANGED' // the network's parameters changed under a running consolidation
  | 'BACKEND' // the TensorFlow.js backend cannot do what was asked
  | 'NO_ADDON' // the C++ addon is missing
  | 'NO_GPU' // no WebGPU adapter
  | 'DEVICE' // the GPU device was lost or refused the work
  | 'DATA_FILE'; // a data file is missing or damaged

/** What an {@link EngramError} says besides its code. */
export interface ErrorDetail {
  /** What was expected. */
  expected: string;
  /** What came instead. */
  received: string;
  /** What the caller can do about it. */
  remedy: string;
  /** The underlying error, if one was caught. */
  cause?: unknown;
}

/** Thrown by every public function on bad input or a missing facility. Nothing is half-changed when it is thrown. */
export class EngramError extends Error {
  override readonly name = 'EngramError';
  readonly code: ErrorCode;
  readonly expected: string;
  readonly received: string;
  readonly remedy: string;

  constructor(code: ErrorCode, detail: ErrorDetail) {
    super(`expected ${detail.expected}, got ${detail.received}. ${detail.remedy}`, {cause: detail.cause});
    this.code = code;
    this.expected = detail.expected;
    this.received = detail.received;
    this.remedy = detail.remedy;
  }
}

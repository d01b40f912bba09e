/** The tape: per-sample gradient operands from one forward and one backward pass of a TensorFlow.js network. */
export {asNetwork, type Network, type NetworkLike, type Tensors} from './network.js';
export {type BatchRecord, eachCall, type MomentKernel, type OperandRecord, type VariableRecord} from './record.js';
export {SampleTape, type SampleTapeOptions} from './sample-tape.js';
export type {Seed} from './seed.js';
export {selfTest} from './self-test.js';
export {refuseNestedTape} from './tfjs.js';

/**
 * Gradient kernels that are described instead of run.
 *
 * The gradient functions of TensorFlow.js end, for a weight, in a kernel that sums over the batch: a matrix product, a
 * filter gradient, a Sum. Its operands are exactly what per-sample gradients are made of, its result is not needed. So
 * while a node's gradient runs, these kernels return a stub: a tensor with a shape and no memory. Kernels that only
 * rename a stub's elements return another stub; any other kernel that is given a stub gets the real value, computed then.
 */
import * as tf from '@tensorflow/tfjs-core';
import {compose, type Layout, transposition} from './layout.js';
import {layoutPreserving} from './logits.js';
import {disposeAll, engine, intercepting, type RunKernel} from './tfjs.js';

type Inputs = Record<string, tf.Tensor>;
type Attrs = Record<string, unknown>;

/** A kernel call that was put off; its inputs are clones of ours, or other stubs. */
interface Call {
  readonly kernel: string;
  readonly inputs: Inputs;
  readonly attrs: Attrs;
}

/** Where the gradient of a parameter comes from. */
export interface Origin extends Call {
  /** From the order of elements of the kernel's result to that of the gradient. */
  readonly layout: Layout;
}

type Shape = number[] | null;
/** Shapes of the results of the kernels that are put off; null: run it now. */
const resultShape: Readonly<Record<string, (inputs: Inputs, attrs: Attrs) => Shape>> = {
  BatchMatMul: ({a, b}, {transposeA, transposeB}) => {
    const outer = (a.rank >= b.rank ? a : b).shape.slice(0, -2);
    const broadcast = tf.util.sizeFromShape(a.shape.slice(0, -2)) !== tf.util.sizeFromShape(b.shape.slice(0, -2));
    if (a.size === 0 || b.size === 0 || broadcast) return null;
    return [...outer, a.shape.at(transposeA ? -1 : -2)!, b.shape.at(transposeB ? -2 : -1)!];
  },
  Conv2DBackpropFilter: (_, {filterShape}) => filterShape as number[],
  // The gradient of a network's own input is asked for and never used; its value is made only on demand.
  Conv2DBackpropInput: (_, {inputShape}) => inputShape as number[],
  Conv3DBackpropFilterV2: (_, {filterShape}) => filterShape as number[],
  Conv3DBackpropInputV2: (_, {inputShape}) => inputShape as number[],
  DepthwiseConv2dNativeBackpropFilter: (_, {filterShape}) => filterShape as number[],
  DepthwiseConv2dNativeBackpropInput: (_, {inputShape}) => inputShape as number[],
  UnsortedSegmentSum: ({x}, {numSegments}) => [numSegments as number, ...x.shape.slice(1)],
  Sum: ({x}, {axis, keepDims}) => {
    const axes = tf.util.parseAxisParam(axis as number, x.shape);
    if (keepDims) return x.shape.map((length, i) => (axes.includes(i) ? 1 : length));
    return x.shape.filter((_, i) => !axes.includes(i));
  },
  Multiply: ({a, b}) => (tf.util.arraysEqual(a.shape, b.shape) ? a.shape : null),
};

/** Many matrix products at once. */
export const isStack = ({kernel, inputs}: Pick<Call, 'kernel' | 'inputs'>): boolean =>
  kernel === 'BatchMatMul' && inputs.a.shape.slice(0, -2).some((length) => length !== 1);

/** Inputs that are no floats. */
const indices = 'segmentIds';

let stubs = 0;

/** The stubs of one tape node. Everything it keeps is freed by `dispose()`. */
export class Deferral {
  private readonly calls = new Map<number, Call>();
  private readonly forced = new Map<number, tf.Tensor>();
  private readonly kept: tf.Tensor[] = [];
  /** Kernels that made real tensors, to name the one for which there is no rule. */
  private readonly makers = new Map<number, string>();
  private readonly runNow: RunKernel = engine().runKernel.bind(engine());

  /**
   * Runs `body`, a gradient function.
   *
   * @param forParameter the result is a parameter's gradient: products that a Sum may be about to reduce wait as well
   */
  run<T>(body: () => T, forParameter: boolean): T {
    const deferring =
      () =>
      (name: string, inputs: Inputs, attrs: Attrs = {}) =>
        this.rename(name, inputs, attrs) ??
        this.putOff(name, inputs, attrs, forParameter) ??
        this.runReal(name, inputs, attrs);
    return intercepting('runKernel', deferring, body);
  }

  /** The tensor itself, or the value of a stub. A value belongs to this object: clone it to keep it. */
  value(x: tf.Tensor): tf.Tensor {
    const call = this.calls.get(x.id);
    if (!call) return x;
    let value = this.forced.get(x.id);
    if (!value) {
      value = engine().keep(this.runNow(call.kernel, this.values(call.inputs), call.attrs) as tf.Tensor);
      this.forced.set(x.id, value);
      this.kept.push(value);
    }
    return value;
  }

  /** The call behind a stub, seen through renamings; or the name of the kernel that made a real tensor. */
  origin(x: tf.Tensor): Origin | string {
    let layout: Layout = null;
    for (let stub = x; ; ) {
      const call = this.calls.get(stub.id);
      if (!call) return this.makers.get(stub.id) ?? 'an unknown kernel';
      if (call.kernel in resultShape) return {...call, layout};
      const [source] = Object.values(call.inputs);
      if (call.kernel === 'Transpose')
        layout = compose(transposition(source.shape, call.attrs.perm as number[]), layout);
      stub = source;
    }
  }

  dispose(): void {
    disposeAll(this.kept);
  }

  /** A kernel that gives a stub's elements another shape or order: again a stub. */
  private rename(kernel: string, inputs: Inputs, attrs: Attrs): tf.Tensor | undefined {
    const source = renamedInput(kernel, inputs);
    if (!source || !this.calls.has(source.id)) return undefined;
    const shape = renamedShape(kernel, source.shape, attrs);
    return shape && this.stub(shape, {kernel, inputs, attrs});
  }

  private putOff(kernel: string, inputs: Inputs, attrs: Attrs, forParameter: boolean): tf.Tensor | undefined {
    const shapeOf = resultShape[kernel];
    // Of data they are the gradient itself; of a parameter they are about to be summed over the samples, or do so.
    if (!forParameter && (kernel === 'Multiply' || isStack({kernel, inputs}))) return undefined;
    if (!shapeOf || Object.entries(inputs).some(([name, x]) => x?.dtype !== (name === indices ? 'int32' : 'float32')))
      return undefined;
    const shape = shapeOf(inputs, attrs);
    if (!shape) return undefined;
    const operands = Object.entries(inputs).map(([name, input]) => [name, this.operand(kernel, input)]);
    return this.stub(shape, {kernel, inputs: Object.fromEntries(operands), attrs});
  }

  /** tfjs disposes its tensors when the op ends, so an operand is a clone; the product under a Sum stays a stub. */
  private operand(kernel: string, input: tf.Tensor): tf.Tensor {
    if (kernel === 'Sum' && this.calls.get(input.id)?.kernel === 'Multiply') return input;
    const clone = engine().keep(this.runNow('Identity', {x: this.value(input)}) as tf.Tensor);
    this.kept.push(clone);
    return clone;
  }

  private runReal(kernel: string, inputs: Inputs, attrs: Attrs): tf.Tensor | tf.Tensor[] {
    const result = this.runNow(kernel, this.values(inputs), attrs);
    const source = renamedInput(kernel, inputs);
    const maker = (source && this.makers.get(source.id)) ?? kernel;
    for (const {id} of Array.isArray(result) ? result : [result]) this.makers.set(id, maker);
    return result;
  }

  private values(inputs: Inputs): Inputs {
    const isStub = (x: tf.Tensor | null | undefined) => x != null && this.calls.has(x.id);
    if (!Object.values(inputs).some(isStub)) return inputs;
    // Kernels with any number of inputs are given an array.
    if (Array.isArray(inputs)) return inputs.map((x) => this.value(x)) as unknown as Inputs;
    return Object.fromEntries(Object.entries(inputs).map(([name, x]) => [name, x == null ? x : this.value(x)]));
  }

  private stub(shape: number[], call: Call): tf.Tensor {
    // tfjs ignores a dataId that it does not know, so scopes may dispose a stub; negative ids are never tfjs' own.
    const stub = new tf.Tensor(shape, 'float32', {}, --stubs);
    this.calls.set(stub.id, call);
    return stub;
  }
}

/** What a kernel only gives another shape or order, if it is one of those. */
function renamedInput(kernel: string, inputs: Inputs): tf.Tensor | undefined {
  return kernel === 'Transpose' ? inputs.x : inputs[layoutPreserving[kernel]];
}

function renamedShape(kernel: string, shape: number[], attrs: Attrs): number[] | undefined {
  switch (kernel) {
    case 'Reshape':
      return tf.util.inferFromImplicitShape(attrs.shape as number[], tf.util.sizeFromShape(shape));
    case 'Cast':
      return attrs.dtype === 'float32' ? shape : undefined;
    case 'Identity':
      return shape;
    case 'ExpandDims': {
      const dim = attrs.dim as number;
      return shape.toSpliced(dim < 0 ? dim + shape.length + 1 : dim, 0, 1);
    }
    default:
      return (attrs.perm as number[]).map((axis) => shape[axis]);
  }
}

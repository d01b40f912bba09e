/** Kernels of one input, element by element: float32, and booleans for LogicalNot. */
import {
  areFloat,
  booleansOf,
  type Call,
  kernel,
  type NativeKernel,
  result,
  resultOf,
  runCpuKernel,
  valuesOf,
} from './tensors.js';

const operations = {
  Abs: 'abs',
  Acos: 'acos',
  Acosh: 'acosh',
  Asin: 'asin',
  Asinh: 'asinh',
  Atan: 'atan',
  Atanh: 'atanh',
  Ceil: 'ceil',
  ClipByValue: 'clip',
  Cos: 'cos',
  Cosh: 'cosh',
  Elu: 'elu',
  Erf: 'erf',
  Exp: 'exp',
  Expm1: 'expm1',
  Floor: 'floor',
  LeakyRelu: 'leakyrelu',
  Log: 'log',
  Log1p: 'log1p',
  Neg: 'neg',
  Reciprocal: 'reciprocal',
  Relu: 'relu',
  Relu6: 'relu6',
  Round: 'round',
  Rsqrt: 'rsqrt',
  Selu: 'selu',
  Sigmoid: 'sigmoid',
  Sign: 'sign',
  Sin: 'sin',
  Sinh: 'sinh',
  Softplus: 'softplus',
  Sqrt: 'sqrt',
  Square: 'square',
  Step: 'step',
  Tan: 'tan',
  Tanh: 'tanh',
} as const;

interface Attributes {
  alpha?: number;
  clipValueMin?: number;
  clipValueMax?: number;
}
type UnaryCall = Call<'x', Attributes | undefined>;

/** The two numbers that an operation may take. A clip without an end is one at infinity: so NaN compares. */
function numbersOf(attrs: Attributes | undefined): {alpha: number; beta: number} {
  const {alpha, clipValueMin, clipValueMax} = attrs ?? {};
  if (clipValueMin === undefined && clipValueMax === undefined) return {alpha: alpha ?? 0, beta: 0};
  const end = (value: number | undefined, open: number) => (value === undefined || Number.isNaN(value) ? open : value);
  return {
    alpha: end(clipValueMin, Number.NEGATIVE_INFINITY),
    beta: end(clipValueMax, Number.POSITIVE_INFINITY),
  };
}

function unary(kernelName: string, op: string, call: UnaryCall) {
  const {x} = call.inputs;
  const {alpha, beta} = numbersOf(call.attrs);
  if (!areFloat(x) || Number.isNaN(alpha)) return runCpuKernel(kernelName, {...call, attrs: call.attrs ?? {}});
  const values = valuesOf(call.backend, x);
  return result(call.backend, x.shape, 'unary', {op, size: values.length, alpha, beta}, [values]);
}

const classes = {IsFinite: 'finite', IsInf: 'infinite', IsNan: 'nan'} as const;

function classify(kernelName: string, op: string, call: Call<'x', object>) {
  const {x} = call.inputs;
  if (!areFloat(x)) return runCpuKernel(kernelName, call);
  const values = valuesOf(call.backend, x);
  return resultOf('bool', call.backend, x.shape, 'classify', {op, size: values.length}, [values]);
}

function logicalNot(call: Call<'x', object>) {
  const {x} = call.inputs;
  if (x.dtype !== 'bool') return runCpuKernel('LogicalNot', call);
  const values = booleansOf(call.backend, x);
  return resultOf('bool', call.backend, x.shape, 'logical_not', {size: values.length}, [values]);
}

export const unaryKernels: NativeKernel[] = [
  ...Object.entries(operations).map(([name, op]) => kernel(name, (call: UnaryCall) => unary(name, op, call))),
  ...Object.entries(classes).map(([name, op]) => kernel(name, (call: Call<'x', object>) => classify(name, op, call))),
  kernel('LogicalNot', logicalNot),
];
